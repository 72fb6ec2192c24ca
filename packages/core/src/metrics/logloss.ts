/** Logarithmic loss of probabilities, in nats (natural logarithm), and what it is measured against. */

/**
 * Probabilities are held within [1e-15, 1 − 1e-15] before the logarithm, so that one certain and wrong score costs 34.5
 * nats instead of making the mean infinite. Scores of a healthy model never come near it.
 */
export const probabilityClamp = 1e-15;

/**
 * Loss of one prediction:  −ln(p) for label 1,  −ln(1 − p) for label 0.
 * @param probability 0 … 1, clamped by `probabilityClamp`.
 */
export function loglossOf(probability: number, label: number): number {
  const clamped = Math.min(Math.max(probability, probabilityClamp), 1 - probabilityClamp);
  return label === 1 ? -Math.log(clamped) : -Math.log1p(-clamped);
}

/**
 * Mean loss, nats an example. NaN when there is none.
 * @param probabilities float32 or float64[count]; only read.
 * @param labels uint8[count], 0 or 1; only read.
 */
export function loglossFromScores(
  probabilities: Float32Array | Float64Array,
  labels: Uint8Array,
  count: number,
): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += loglossOf(probabilities[i], labels[i]);
  return count === 0 ? Number.NaN : sum / count;
}

/**
 * Normalised entropy: mean loss over the loss of always answering the mean label r,
 *   ne = logloss / −(r ln r + (1 − r) ln(1 − r))
 * so that 1 is no better than the mean, and figures of streams with different click rates compare.
 * NaN when one class is absent.
 * Source: He et al., Practical Lessons from Predicting Clicks on Ads at Facebook, ADKDD 2014.
 */
export function normalizedEntropyFromScores(
  probabilities: Float32Array | Float64Array,
  labels: Uint8Array,
  count: number,
): number {
  let positives = 0;
  for (let i = 0; i < count; i++) positives += labels[i];
  if (positives === 0 || positives === count) return Number.NaN;
  const rate = positives / count;
  const entropy = -(rate * Math.log(rate) + (1 - rate) * Math.log(1 - rate));
  return loglossFromScores(probabilities, labels, count) / entropy;
}
