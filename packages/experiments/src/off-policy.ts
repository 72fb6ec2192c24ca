/**
 * What an arm would have earned in first place without exploring, from the propensities of what was drawn there (rank-sums.ts).
 * Intervals come of groups of units, and hold at every look, as all others do.
 */
import { groupedRatio } from '@millrace/core';
import { type ArmOffPolicy, type RateEstimate, rankColumns, rankTotals } from '@millrace/protocol';
import { clickedMin, haveGroups, intervalOf, type Spread } from './always-valid.ts';
import { type OpenRanks, type OpenSums, sumOf } from './open-sums.ts';

/** The mean weight is 1 but for chance: further off, and the policy shows what was never drawn, or propensities are wrong. */
const meanWeightErrorsMax = 5;
const effectiveShareMin = 0.01;

/** @param alpha of each interval. */
export function offPolicyOf(sums: OpenSums | undefined, shadow: boolean, alpha: number): ArmOffPolicy {
  const ranks = sums?.ranks ?? null;
  const count = ranks === null ? 0 : sumOf(ranks.column(rankColumns.shown));
  if (ranks === null || !(count > 0)) return { ...nothing, reason: reasonOfNone(sums) };
  const weight = sumOf(ranks.column(rankColumns.weight));
  const squares = ranks.total(rankTotals.weightSquares);
  const effectiveSampleSize = squares > 0 ? (weight * weight) / squares : 0;
  return {
    policy: 'greedy',
    ranks: count,
    drawn: drawnRate(ranks, alpha),
    snips: weight > 0 ? snipsRate(ranks, effectiveSampleSize / count, alpha) : null,
    dr: drRate(ranks, alpha),
    effectiveSampleSize,
    meanWeight: weight / count,
    reason: doubtOf({ count, weight, squares, effectiveSampleSize, shadow }),
  };
}

/** Doubly robust, by groups: what arms are compared by. */
export function greedyClicks(ranks: OpenRanks) {
  const shown = ranks.column(rankColumns.shown);
  const ratio = groupedRatio(ranks.column(rankColumns.doublyRobust), shown);
  const unitVariance = ranks.total(rankTotals.doublyRobustSquares) / sumOf(shown) - ratio.value ** 2;
  return { ratio, unitVariance, isEnough: ranks.total(rankTotals.clickedAlike) >= clickedMin };
}

/** Of a shadow: what its order would have earned over what was drawn, decision by decision. */
export function greedyGain(ranks: OpenRanks) {
  const shown = ranks.column(rankColumns.shown);
  const clicked = ranks.column(rankColumns.clicked);
  const gap = ranks.column(rankColumns.doublyRobust).map((earned, g) => earned - clicked[g]);
  const ratio = groupedRatio(gap, shown);
  const unitVariance = ranks.total(rankTotals.gapSquares) / sumOf(shown) / 2;
  const isEnough = ranks.total(rankTotals.clickedAlike) >= clickedMin;
  return { ratio, drawn: sumOf(clicked) / sumOf(shown), unitVariance, isEnough };
}

const nothing: Omit<ArmOffPolicy, 'reason'> = {
  policy: 'greedy',
  ranks: 0,
  drawn: null,
  snips: null,
  dr: null,
  effectiveSampleSize: 0,
  meanWeight: null,
};

function reasonOfNone(sums: OpenSums | undefined): string {
  if (sums === undefined) return 'nothing came of it yet';
  return 'no propensities are logged of it: POST /v1/score returns scores and draws no order, POST /v1/rank does';
}

function drawnRate(ranks: OpenRanks, alpha: number): RateEstimate {
  const clicked = ranks.column(rankColumns.clicked);
  const ratio = groupedRatio(clicked, ranks.column(rankColumns.shown));
  const { value, variance } = ratio;
  const isEnough = sumOf(clicked) >= clickedMin && haveGroups(ratio);
  return rate(value, isEnough ? { variance, unitVariance: value * (1 - value) } : null, alpha);
}

function snipsRate(ranks: OpenRanks, effectiveShare: number, alpha: number): RateEstimate {
  const ratio = groupedRatio(ranks.column(rankColumns.weightedClicks), ranks.column(rankColumns.weight));
  const { value, variance } = ratio;
  const isEnough = ranks.total(rankTotals.clickedAlike) >= clickedMin && haveGroups(ratio);
  const unitVariance = (value * (1 - value)) / effectiveShare;
  return rate(value, isEnough ? { variance, unitVariance } : null, alpha);
}

function drRate(ranks: OpenRanks, alpha: number): RateEstimate {
  const { ratio, unitVariance, isEnough } = greedyClicks(ranks);
  const { value, variance } = ratio;
  return rate(value, isEnough && haveGroups(ratio) ? { variance, unitVariance } : null, alpha);
}

function rate(value: number, spread: Spread | null, alpha: number): RateEstimate {
  return { value, interval: spread === null ? null : intervalOf(value, spread, alpha) };
}

interface Weights {
  readonly count: number;
  readonly weight: number;
  readonly squares: number;
  readonly effectiveSampleSize: number;
  readonly shadow: boolean;
}

function doubtOf({ count, weight, squares, effectiveSampleSize, shadow }: Weights): string | null {
  const whose = shadow ? 'the shadow' : 'the arm';
  if (!(weight > 0)) return `what ${whose} would show first was never shown: nothing can be said of it`;
  const mean = weight / count;
  const error = Math.sqrt(Math.max(0, squares / count - mean * mean) / count);
  if (Math.abs(mean - 1) > meanWeightErrorsMax * error + 1e-6)
    return `weights average ${short(mean)}, not 1: ${whose} would often show first what had no chance of being drawn; explore more, and take these for rough`;
  if (effectiveSampleSize < effectiveShareMin * count)
    return `${short(count)} orders tell as much as ${short(effectiveSampleSize)} of the policy itself: take these for rough`;
  return null;
}

function short(value: number): string {
  return String(Number(value.toPrecision(3)));
}
