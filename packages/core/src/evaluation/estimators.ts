/**
 * What another policy would have earned, from a log of what one policy did.
 *
 * A decision showed item a in context x, drawn with probability π₀(a|x), and earned r. With w = π(a|x) / π₀(a|x), the policy's
 * own probability over the logged one, and q̂ a model of the reward:
 *
 *   IPS        1/n Σ w·r                                        unbiased; its spread grows with the weights
 *   SNIPS      Σ w·r / Σ w                                      not quite unbiased, far steadier
 *   DM         1/n Σ Σ_a π(a|x) q̂(x,a)                          steady; as wrong as the model is
 *   DR         1/n Σ [Σ_a π(a|x) q̂(x,a) + w·(r − q̂(x,a_logged))]   unbiased if w or q̂ is right; less spread than IPS where q̂ helps
 *   switch-DR  as DR, with w = 0 where w > τ                    trusts the model where a weight would rule everything
 *
 * Sources: Dudík, Langford, Li, ICML 2011 (DM, DR); Swaminathan, Joachims, NIPS 2015 (SNIPS); Wang, Agarwal, Dudík, ICML
 * 2017 (switch). Names and definitions agree with the Open Bandit Pipeline.
 */

/** A number and how far off it may be. */
export interface Estimate {
  readonly value: number;
  readonly standardError: number;
}

/** Decisions of a log, an entry each; only read by all functions here. */
export interface WeightedRewards {
  /** float64[count]: w, ≥ 0. */
  readonly weights: Float64Array;
  /** float64[count]: r. */
  readonly rewards: Float64Array;
  readonly count: number;
}

/** What a model of the reward says of each decision. */
export interface RewardModel {
  /** float64[count]: q̂ of the item that was shown. */
  readonly taken: Float64Array;
  /** float64[count]: Σ_a π(a|x) q̂(x,a). */
  readonly target: Float64Array;
}

export function inversePropensityScore({ weights, rewards, count }: WeightedRewards): Estimate {
  return meanOf(count, (i) => weights[i] * rewards[i]);
}

/**
 * The standard error by the delta method: sqrt(Σ w²(r − v)²) / Σ w.
 * @returns NaN when no decision has a weight.
 */
export function selfNormalized({ weights, rewards, count }: WeightedRewards): Estimate {
  let sum = 0;
  let weighted = 0;
  for (let i = 0; i < count; i += 1) {
    sum += weights[i];
    weighted += weights[i] * rewards[i];
  }
  const value = weighted / sum;
  let squares = 0;
  for (let i = 0; i < count; i += 1) squares += (weights[i] * (rewards[i] - value)) ** 2;
  return { value, standardError: Math.sqrt(squares) / sum };
}

export function directMethod({ target }: RewardModel, count: number): Estimate {
  return meanOf(count, (i) => target[i]);
}

export function doublyRobust(
  { weights, rewards, count }: WeightedRewards,
  { taken, target }: RewardModel,
): Estimate {
  return meanOf(count, (i) => target[i] + weights[i] * (rewards[i] - taken[i]));
}

/** @param threshold τ: heavier decisions count by the model alone. */
export function switchDoublyRobust(
  { weights, rewards, count }: WeightedRewards,
  { taken, target }: RewardModel,
  threshold: number,
): Estimate {
  return meanOf(
    count,
    (i) => target[i] + (weights[i] > threshold ? 0 : weights[i] * (rewards[i] - taken[i])),
  );
}

export interface WeightReport {
  /** About 1 when the logged propensities are true: the mean of π/π₀ over draws from π₀. */
  readonly mean: number;
  readonly max: number;
  /** (Σ w)² / Σ w²: as many decisions of the policy itself would tell as much. 0 when no decision has a weight. */
  readonly effectiveSampleSize: number;
}

export function reportOnWeights(weights: Float64Array, count: number): WeightReport {
  let sum = 0;
  let squares = 0;
  let max = 0;
  for (let i = 0; i < count; i += 1) {
    sum += weights[i];
    squares += weights[i] * weights[i];
    max = Math.max(max, weights[i]);
  }
  return { mean: sum / count, max, effectiveSampleSize: squares === 0 ? 0 : (sum * sum) / squares };
}

export interface ClippedWeights {
  /** float64[count]: min(w, weightMax). */
  readonly weights: Float64Array;
  /** Decisions whose weight was over it. */
  readonly clipped: number;
  /** Share of all weight that was cut off. */
  readonly weightLost: number;
}

/** Bounds what one decision can do, at the price of a bias downwards (for rewards ≥ 0). */
export function clipWeights(weights: Float64Array, count: number, weightMax: number): ClippedWeights {
  const cut = new Float64Array(count);
  let clipped = 0;
  let before = 0;
  let after = 0;
  for (let i = 0; i < count; i += 1) {
    cut[i] = Math.min(weights[i], weightMax);
    if (weights[i] > weightMax) clipped += 1;
    before += weights[i];
    after += cut[i];
  }
  return { weights: cut, clipped, weightLost: before === 0 ? 0 : 1 - after / before };
}

/** Mean of `of(i)` and its standard error: sqrt(Σ (x − mean)² / (n − 1) / n), in two passes. One value has no spread: NaN. */
function meanOf(count: number, of: (i: number) => number): Estimate {
  let sum = 0;
  for (let i = 0; i < count; i += 1) sum += of(i);
  const value = sum / count;
  let squares = 0;
  for (let i = 0; i < count; i += 1) squares += (of(i) - value) ** 2;
  return { value, standardError: Math.sqrt(squares / (count - 1) / count) };
}
