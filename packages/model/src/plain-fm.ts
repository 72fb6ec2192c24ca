/**
 * The factorisation machine's second-order term for one example, in the linear-time form of Rendle (ICDM 2010):
 *   fm = ½ Σ_d ((Σ_s e[s, d])² − Σ_s e[s, d]²);     ∂fm/∂e[s, d] = (Σ_t e[t, d]) − e[s, d]
 * Sums run in float64.
 */

/**
 * @param embeddings float32, one example's slots from `offset` on: slots × dim, row-major.
 * @param sums       float64[dim]: overwritten with Σ_s e[s, d].
 */
export function fmForward(
  embeddings: Float32Array,
  offset: number,
  floats: number,
  dim: number,
  sums: Float64Array,
): number {
  let term = 0;
  for (let d = 0; d < dim; d++) {
    let sum = 0;
    let squares = 0;
    for (let i = offset + d; i < offset + floats; i += dim) {
      const e = embeddings[i];
      sum += e;
      squares += e * e;
    }
    sums[d] = sum;
    term += sum * sum - squares;
  }
  return term / 2;
}

/**
 * Adds logitGradient · ∂fm/∂e to `out` at the same places.
 * @param sums float64[dim] as fmForward left it.
 */
export function fmBackward(
  embeddings: Float32Array,
  offset: number,
  floats: number,
  dim: number,
  sums: Float64Array,
  logitGradient: number,
  out: Float32Array,
): void {
  for (let d = 0; d < dim; d++) {
    for (let i = offset + d; i < offset + floats; i += dim)
      out[i] += logitGradient * (sums[d] - embeddings[i]);
  }
}
