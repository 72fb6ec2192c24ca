/** The logistic loss on logits, in forms that neither overflow nor lose small differences. */

/** 1 / (1 + e^−z), for any z. */
export function sigmoid(logit: number): number {
  if (logit >= 0) return 1 / (1 + Math.exp(-logit));
  const e = Math.exp(logit);
  return e / (1 + e);
}

/**
 * Logistic loss of one example, natural log.
 *   loss = max(z, 0) − z·y + ln(1 + e^−|z|)   =   −y·ln σ(z) − (1 − y)·ln(1 − σ(z))
 * Its derivative by z is σ(z) − y.
 */
export function logloss(logit: number, label: number): number {
  return Math.max(logit, 0) - logit * label + Math.log1p(Math.exp(-Math.abs(logit)));
}
