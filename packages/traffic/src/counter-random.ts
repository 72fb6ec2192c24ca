/**
 * Random numbers by address instead of by order: each is a hash of (seed, stream, counter, draw), so that step one million
 * of a simulation can be drawn without the steps before it, and drawing one more number in one place changes no other.
 */

/** Names a use of randomness; two uses with one name would share their numbers. */
export type Stream = number;

/**
 * Uniform in (0, 1), never 0 or 1, so that its logarithm is finite. 32 bits of resolution.
 * @param seed    uint32.
 * @param counter whole number, 0 … 2^53.
 * @param draw    uint32, tells the draws at one counter apart.
 */
export function uniformAt(seed: number, stream: Stream, counter: number, draw = 0): number {
  let h = mixed(mixed(0, seed), stream);
  h = mixed(h, counter >>> 0);
  // Counters beyond 32 bits: the upper half counts too.
  h = mixed(h, (counter / 4_294_967_296) >>> 0);
  h = mixed(h, draw);
  return ((h >>> 0) + 0.5) / 4_294_967_296;
}

/** Standard normal (Box–Muller); takes draws 2 · draw and 2 · draw + 1 of its counter. */
export function normalAt(seed: number, stream: Stream, counter: number, draw = 0): number {
  const radius = Math.sqrt(-2 * Math.log(uniformAt(seed, stream, counter, 2 * draw)));
  return radius * Math.cos(2 * Math.PI * uniformAt(seed, stream, counter, 2 * draw + 1));
}

/** Index drawn with chances in proportion to `weights`, by a uniform number. */
export function chosenIndex(weights: readonly number[], uniform: number): number {
  let total = 0;
  for (const weight of weights) total += weight;
  let left = uniform * total;
  for (let i = 0; i < weights.length; i++) {
    left -= weights[i];
    if (left < 0) return i;
  }
  return weights.length - 1;
}

/** Folds a value into a 32-bit state: a bijection of the state, three multiplications, so that any bit moves about half. */
function mixed(state: number, value: number): number {
  let h = Math.imul(state ^ value, 0x9e3779b1);
  h = Math.imul(h ^ (h >>> 15), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
