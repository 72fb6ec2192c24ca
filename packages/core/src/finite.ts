/**
 * Whether floats [from, to) are all finite. x − x is 0 for finite x and NaN otherwise, so one sum tells of all of them; at a
 * row's length, and at that of a net's weights, some ten times as fast as asking each.
 */
export function areFinite(values: Float32Array, from = 0, to = values.length): boolean {
  let zero = 0;
  for (let i = from; i < to; i += 1) zero += values[i] - values[i];
  return zero === 0;
}
