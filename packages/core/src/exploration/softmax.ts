/**
 * Softmax (Boltzmann exploration): P(i) = e^(z_i / T) / Σ_j e^(z_j / T), with the largest z taken off first so that nothing
 * overflows. An item that is more than 745 T below the best has probability 0 in a double, and is never drawn.
 * @param logits float64[count]; only read.
 * @param out    float64[count]; overwritten.
 */
export function softmaxProbabilities(
  logits: Float64Array,
  count: number,
  temperature: number,
  out: Float64Array,
): void {
  let best = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < count; i += 1) best = Math.max(best, logits[i]);
  let total = 0;
  for (let i = 0; i < count; i += 1) {
    out[i] = Math.exp((logits[i] - best) / temperature);
    total += out[i];
  }
  for (let i = 0; i < count; i += 1) out[i] /= total;
}
