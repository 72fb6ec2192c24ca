/**
 * What the scores of an arm alone would have earned in first place, summed as examples come (layout and letters: protocol
 * experiment-sums.ts). A rank was drawn with known probabilities, so its clicks also tell of another order, the greedy one:
 *
 *   w = 1/π₀ where the greedy choice was shown, else 0      SNIPS  Σ w·r / Σ w      DR  mean of t + w·(r − q)
 *
 * All of it is linear in what an item adds to impressions and clicks, r being 0 or 1, so sampled negatives and clicks that come
 * later correct the sums as they do all others. Sources: core/evaluation/estimators.ts.
 */
import { rankColumns, rankTotals, rankTotalsFrom, unitGroups } from '@millrace/protocol';
import type { Choice } from './judged-example.ts';

export interface RankedItem {
  readonly group: number;
  /** What it adds (countsOf). */
  readonly shown: number;
  readonly clicked: number;
  readonly propensity: number;
  /** What the judged scores would have shown. */
  readonly greedy: Choice;
  /** Probability that was answered for it. */
  readonly score: number;
}

/** @param sums float64[rankSumFloats]; added to. */
export function addRanked(
  sums: Float64Array,
  { group, shown, clicked, propensity, greedy, score }: RankedItem,
): void {
  const weight = greedy.isShown ? 1 / propensity : 0;
  const without = greedy.score - weight * score;
  const gain = without + weight;
  sums[rankColumns.shown * unitGroups + group] += shown;
  sums[rankColumns.clicked * unitGroups + group] += clicked;
  sums[rankColumns.weight * unitGroups + group] += shown * weight;
  sums[rankColumns.weightedClicks * unitGroups + group] += clicked * weight;
  sums[rankColumns.doublyRobust * unitGroups + group] += shown * without + clicked * weight;
  sums[rankTotalsFrom + rankTotals.weightSquares] += shown * weight * weight;
  // What a click makes of the square of an item that was taken for a negative: (without + w)² − without².
  sums[rankTotalsFrom + rankTotals.doublyRobustSquares] +=
    shown * without * without + clicked * (gain * gain - without * without);
  sums[rankTotalsFrom + rankTotals.gapSquares] +=
    shown * without * without + clicked * ((gain - 1) ** 2 - without * without);
  if (weight > 0) sums[rankTotalsFrom + rankTotals.clickedAlike] += clicked;
}
