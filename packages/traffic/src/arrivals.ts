/**
 * A growing population with a Zipf-like head, as a process that can be asked about any step at once.
 *
 * At each step either somebody new comes, or the one who came at an earlier step comes again:
 *   who(n) = n                            with probability newShare(n)
 *   who(n) = who(n − 1 − lag(n))          otherwise, with lag(n) = ⌊uniform^recency · (n + founders)⌋
 * Steps below 0 are founders, each there once before the beginning; they keep the first visitors from dominating for ever.
 * Whoever came often is copied often, so frequencies follow a power law (Simon 1955); recency above 1 prefers the recent.
 * Following the copies back takes about 1 / newShare hops and no memory, whatever n is.
 */
import { type Stream, uniformAt } from './counter-random.ts';

export interface Population {
  readonly seed: number;
  readonly stream: Stream;
  /** Members before the first step, ≥ 1. */
  readonly founders: number;
  /** Probability that a newcomer comes at step n. */
  readonly newShare: (step: number) => number;
  /** 1 copies any earlier step alike; more prefers recent ones. */
  readonly recency: number;
}

/**
 * Number of who comes at step n: 0 … founders − 1 are founders, founders + m is the newcomer of step m.
 * @param draw tells further choices at the same step apart; only draw 0 lets newcomers in and is copied by later steps.
 */
export function visitorAt(population: Population, step: number, draw = 0): number {
  const { seed, stream, founders, newShare, recency } = population;
  let at = step;
  let again = draw;
  while (at >= 0) {
    if (again === 0 && uniformAt(seed, stream, at, 0) < newShare(at)) return founders + at;
    const lag = Math.floor(uniformAt(seed, stream, at, again + 1) ** recency * (at + founders));
    at -= 1 + lag;
    again = 0;
  }
  return founders + at;
}
