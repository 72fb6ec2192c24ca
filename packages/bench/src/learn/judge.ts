/** What scores were worth, where the true probabilities are known. */
import type { Played } from './play-stream.ts';

export interface Stretch {
  readonly from: number;
  readonly to: number;
}

/** Mean −ln of the probability given to what happened. */
export function loglossOf(probabilities: Float32Array, clicks: Uint8Array, { from, to }: Stretch): number {
  let sum = 0;
  for (let i = from; i < to; i += 1)
    sum -= Math.log(clicks[i] === 1 ? probabilities[i] : 1 - probabilities[i]);
  return sum / (to - from);
}

/** Logloss beyond that of the oracle, by the clicks that were drawn. */
export function regretOf({ scores, truths, clicks }: Played, stretch: Stretch): number {
  return loglossOf(scores, clicks, stretch) - loglossOf(truths, clicks, stretch);
}

/** What that is on average over all clicks that could have been drawn: the mean Kullback–Leibler divergence from the truth. */
export function divergenceOf({ scores, truths }: Played, { from, to }: Stretch): number {
  let sum = 0;
  for (let i = from; i < to; i += 1) sum += divergence(truths[i], scores[i]);
  return sum / (to - from);
}

/** Σ scores / Σ true probabilities. */
export function calibrationOf({ scores, truths }: Played, { from, to }: Stretch): number {
  let predicted = 0;
  let wanted = 0;
  for (let i = from; i < to; i += 1) {
    predicted += scores[i];
    wanted += truths[i];
  }
  return predicted / wanted;
}

/**
 * Items after the drift until the mean divergence over the newest `window` of them is no more than `level`; null when it
 * never is. At least `window`, since fewer tell nothing.
 */
export function recoveryOf(
  { scores, truths }: Played,
  options: { readonly driftAt: number; readonly window: number; readonly level: number },
): number | null {
  const { driftAt, window, level } = options;
  let sum = 0;
  for (let i = driftAt; i < scores.length; i += 1) {
    sum += divergence(truths[i], scores[i]);
    if (i - window >= driftAt) sum -= divergence(truths[i - window], scores[i - window]);
    if (i - driftAt + 1 >= window && sum / window <= level) return i - driftAt + 1;
  }
  return null;
}

function divergence(truth: number, score: number): number {
  return truth * Math.log(truth / score) + (1 - truth) * Math.log((1 - truth) / (1 - score));
}
