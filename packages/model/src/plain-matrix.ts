/**
 * A vector times a matrix of parameters and the way back, in float64. Loops run over the matrix row by row, so that the inner
 * one walks memory in order; inputs that are 0 (half of them after a relu) are skipped going forward.
 */

/** A matrix float32[inputs, units] at `offset` of the parameters. */
export interface Matrix {
  readonly offset: number;
  readonly inputs: number;
  readonly units: number;
}

/** values[to + u] += Σ_i values[from + i] · K[i, u] */
export function addProduct(
  { offset, inputs, units }: Matrix,
  parameters: Float32Array,
  values: Float64Array,
  from: number,
  to: number,
): void {
  for (let i = 0; i < inputs; i++) {
    const x = values[from + i];
    if (x === 0) continue;
    const row = offset + i * units;
    for (let u = 0; u < units; u++) values[to + u] += x * parameters[row + u];
  }
}

/**
 * sums[K[i, u]] += values[from + i] · deltas[to + u];   deltas[from + i] = Σ_u K[i, u] · deltas[to + u]
 * @param deltas laid out as `values`: ∂loss/∂ what stands at the same place there.
 */
export function productBack(
  { offset, inputs, units }: Matrix,
  parameters: Float32Array,
  values: Float64Array,
  deltas: Float64Array,
  from: number,
  to: number,
  sums: Float64Array,
): void {
  for (let i = 0; i < inputs; i++) {
    const x = values[from + i];
    const row = offset + i * units;
    let delta = 0;
    for (let u = 0; u < units; u++) {
      sums[row + u] += x * deltas[to + u];
      delta += parameters[row + u] * deltas[to + u];
    }
    deltas[from + i] = delta;
  }
}
