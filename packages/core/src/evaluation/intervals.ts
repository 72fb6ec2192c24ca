/** Confidence intervals of estimates. */
import { normalQuantile } from '../exploration/normal.ts';
import type { Estimate, WeightedRewards } from './estimators.ts';

/** Lower and upper end. */
export type Interval = readonly [number, number];

/** value ± z · standard error: right for means of many decisions none of which rules. @param confidence in (0, 1). */
export function normalInterval({ value, standardError }: Estimate, confidence: number): Interval {
  const half = normalQuantile((1 + confidence) / 2) * standardError;
  return [value - half, value + half];
}

export interface BootstrapOptions {
  readonly confidence: number;
  /** Times that as many decisions are drawn again, with repetition. */
  readonly resamples: number;
  readonly seed: number;
}

/**
 * The percentile bootstrap of SNIPS: its value on samples drawn from the log itself, and between which of them the middle
 * ones lie. A ratio of few rewards and heavy weights is skewed; this interval is as well, and does not go below 0.
 * Source: Efron, Annals of Statistics 7 (1979).
 */
export function bootstrapSelfNormalized(
  { weights, rewards, count }: WeightedRewards,
  { confidence, resamples, seed }: BootstrapOptions,
): Interval {
  const values = new Float64Array(resamples);
  const next = numbersFrom(seed);
  let filled = 0;
  for (let sample = 0; sample < resamples; sample += 1) {
    let sum = 0;
    let weighted = 0;
    for (let k = 0; k < count; k += 1) {
      const i = Math.floor(next() * count);
      sum += weights[i];
      weighted += weights[i] * rewards[i];
    }
    // A sample in which nothing has a weight has no value.
    if (sum > 0) {
      values[filled] = weighted / sum;
      filled += 1;
    }
  }
  const sorted = values.subarray(0, filled).sort();
  return [quantileOf(sorted, (1 - confidence) / 2), quantileOf(sorted, (1 + confidence) / 2)];
}

/** Between neighbours in proportion; NaN of nothing. */
function quantileOf(sorted: Float64Array, share: number): number {
  if (sorted.length === 0) return Number.NaN;
  const at = share * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}

/** Uniform in [0, 1), 32 bits: the mulberry32 generator (Tommy Ettinger, public domain). */
function numbersFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let h = Math.imul(state ^ (state >>> 15), 1 | state);
    h = (h + Math.imul(h ^ (h >>> 7), 61 | h)) ^ h;
    return ((h ^ (h >>> 14)) >>> 0) / 4_294_967_296;
  };
}
