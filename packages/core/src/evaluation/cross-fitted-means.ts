/**
 * The plainest model of a reward: the mean of each item at each position, drawn towards the mean of its position.
 *
 *   q̂(a, p) = (Σ r + strength · prior_p) / (n + strength)        over the decisions of the other folds
 *
 * Cross-fitted: a decision is judged by a model of the decisions of the other folds alone, so it never tells anything about
 * itself, and doubly robust estimates with it stay unbiased (Chernozhukov et al., Econometrics Journal 21, 2018).
 */
import type { RewardModel } from './estimators.ts';

export interface MeansInput {
  /** uint32[count]: which item was shown, below `items`. */
  readonly itemOf: Uint32Array;
  /** uint32[count]: where, below `positions`. */
  readonly positionOf: Uint32Array;
  /** float64[count] */
  readonly rewards: Float64Array;
  readonly count: number;
  readonly items: number;
  readonly positions: number;
  /** float64[items]: how likely the judged policy shows each item, wherever. */
  readonly probabilities: Float64Array;
}

/** Decision i is in fold i mod this. */
export const meansFolds = 5;
/** Decisions that the mean of the position counts for: a click rate of 1 % takes some hundred to be seen. */
const strength = 100;

/** What the means say of each decision: of the item shown, and of the policy's choice. */
export function crossFittedMeans(input: MeansInput): RewardModel {
  const { itemOf, positionOf, rewards, count, items, positions, probabilities } = input;
  const taken = new Float64Array(count);
  const target = new Float64Array(count);
  const sums = new Float64Array(items * positions);
  const counts = new Float64Array(items * positions);
  const means = new Float64Array(items * positions);
  const expected = new Float64Array(positions);
  for (let fold = 0; fold < meansFolds; fold += 1) {
    sums.fill(0);
    counts.fill(0);
    for (let i = 0; i < count; i += 1) {
      if (i % meansFolds === fold) continue;
      const cell = positionOf[i] * items + itemOf[i];
      sums[cell] += rewards[i];
      counts[cell] += 1;
    }
    for (let p = 0; p < positions; p += 1) {
      const prior = ratio(sumOf(sums, p * items, items), sumOf(counts, p * items, items));
      expected[p] = 0;
      for (let a = 0; a < items; a += 1) {
        const cell = p * items + a;
        means[cell] = (sums[cell] + strength * prior) / (counts[cell] + strength);
        expected[p] += probabilities[a] * means[cell];
      }
    }
    for (let i = fold; i < count; i += meansFolds) {
      taken[i] = means[positionOf[i] * items + itemOf[i]];
      target[i] = expected[positionOf[i]];
    }
  }
  return { taken, target };
}

function sumOf(array: Float64Array, from: number, length: number): number {
  let sum = 0;
  for (let i = from; i < from + length; i += 1) sum += array[i];
  return sum;
}

function ratio(top: number, bottom: number): number {
  return bottom === 0 ? 0 : top / bottom;
}
