/** Intervals that hold at every look, of figures summed by groups of units, and from when on something is said at all. */
import {
  type GroupedRatio,
  type Interval,
  type SequentialInput,
  sequentialInterval,
  tunedPriorVariance,
} from '@millrace/core';

/** Items shown that intervals are tightest for. */
const tunedCount = 20_000;
/** Below so many clicks, and groups of units, on each side the spread itself is not known well enough to say anything. */
export const clickedMin = 50;
const groupsMin = 30;

/** How far chance goes. */
export interface Spread {
  /** Square of the standard error. */
  readonly variance: number;
  /** Variance of one item, which the mixture is tuned by. */
  readonly unitVariance: number;
}

/** @returns null when the spread says nothing. */
export function sequentialInputOf(
  difference: number,
  { variance, unitVariance }: Spread,
  alpha: number,
): SequentialInput | null {
  if (!(variance > 0 && unitVariance > 0)) return null;
  return { difference, variance, priorVariance: tunedPriorVariance(unitVariance, tunedCount, alpha) };
}

/** Of one figure by itself; null when the spread says nothing. */
export function intervalOf(value: number, spread: Spread, alpha: number): Interval | null {
  const input = sequentialInputOf(value, spread, alpha);
  return input === null ? null : sequentialInterval(input, alpha);
}

export function haveGroups(...sides: readonly GroupedRatio[]): boolean {
  return sides.every(({ groups }) => groups >= groupsMin);
}
