/**
 * Intervals that hold at every look: with probability 1 − α the true difference is inside all of them, from the first look to
 * the last, so whoever stops as soon as one excludes 0 errs with probability α at most. Intervals for one look do not allow
 * that: looked at often enough, nearly every one of them excludes 0 once where there is nothing.
 *
 * A difference of means d with variance V (which falls as data come) is a Brownian motion with drift in information time 1/V.
 * Against the mixture of all drifts δ ~ N(0, τ²) its likelihood ratio is a martingale (Robbins 1970; Johari, Pekelis, Walsh
 * 2015, "mSPRT"), so by Ville's inequality
 *
 *   |d − δ|  <  sqrt( V · (V + τ²)/τ² · ln( (V + τ²) / (V α²) ) )         at all times together
 *
 * The same boundary is the asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas (Annals of
 * Statistics 2024), their t ρ² being τ²/V. Both are statements for many data: below some tens of clusters and events V itself
 * is not known well enough, so callers say nothing then.
 */
import type { Interval } from './intervals.ts';

export interface SequentialInput {
  readonly difference: number;
  /** V > 0: square of the standard error of the difference. */
  readonly variance: number;
  /** τ² > 0: which size of difference the interval is tightest for; any value holds. Must not be chosen by the difference. */
  readonly priorVariance: number;
}

export function sequentialInterval(input: SequentialInput, alpha: number): Interval {
  const { difference, variance, priorVariance } = input;
  const both = variance + priorVariance;
  const half = Math.sqrt(variance * (both / priorVariance) * Math.log(both / (variance * alpha * alpha)));
  return [difference - half, difference + half];
}

/** The least α at which the interval excludes 0, at most 1; valid at whichever look it is read. */
export function sequentialPValue({ difference, variance, priorVariance }: SequentialInput): number {
  const both = variance + priorVariance;
  const exponent = (priorVariance * difference * difference) / (2 * variance * both);
  return Math.min(1, Math.sqrt(both / variance) * Math.exp(-exponent));
}

/**
 * The τ² at which the interval is tightest once there are `count` observations on each side, each of variance `unitVariance`.
 * Source: Waudby-Smith et al., their equation for ρ with the approximation of the Lambert function.
 */
export function tunedPriorVariance(unitVariance: number, count: number, alpha: number): number {
  const wide = -2 * Math.log(alpha);
  return (2 * unitVariance * (wide + Math.log(1 + wide))) / count;
}
