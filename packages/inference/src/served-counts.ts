/** What a node has done for a model since it serves it, all of its versions together. */

/** Sums: those of several models may be added. */
export interface ServedTotals {
  /** Items scored, and the batches they came in. */
  scored: number;
  batches: number;
  /** Forward passes that another thread did. */
  passesBeside: number;
  /** Items whose keys were known from a request before (model, known-items.ts). */
  knownItems: number;
  /** Items that first values stood in for some rows of. */
  degraded: number;
  /** Requests that were answered, and ms of them, stage by stage: in the queue; keys made and rows pulled; forward; scores made. */
  answered: number;
  waitMs: number;
  pullMs: number;
  forwardMs: number;
  answerMs: number;
  /** Requests of batches that failed, and those whose scores were no numbers; ms since they came. */
  failed: number;
  failedMs: number;
}

export interface ServedCounts extends ServedTotals {
  /** When the newest batch ended, Unix ms; null before the first. */
  lastMs: number | null;
  /** Of the newest batch; null before the first, or before an updater told its heads. */
  stalenessMs: number | null;
}

/** When a batch reached its stages, by a monotonic clock, ms. */
export interface BatchMoments {
  readonly leftMs: number;
  readonly pulledMs: number;
  readonly forwardedMs: number;
  readonly answeredMs: number;
}

const none: ServedTotals = {
  scored: 0,
  batches: 0,
  passesBeside: 0,
  knownItems: 0,
  degraded: 0,
  answered: 0,
  waitMs: 0,
  pullMs: 0,
  forwardMs: 0,
  answerMs: 0,
  failed: 0,
  failedMs: 0,
};
const names = Object.keys(none) as readonly (keyof ServedTotals)[];

export function createServedCounts(): ServedCounts {
  return { ...none, lastMs: null, stalenessMs: null };
}

/**
 * Notes the requests of a batch that were answered.
 * @param sinceMs  when they came, added up.
 */
export function noteAnswered(
  totals: ServedTotals,
  requests: number,
  sinceMs: number,
  { leftMs, pulledMs, forwardedMs, answeredMs }: BatchMoments,
): void {
  totals.answered += requests;
  totals.waitMs += requests * leftMs - sinceMs;
  totals.pullMs += requests * (pulledMs - leftMs);
  totals.forwardMs += requests * (forwardedMs - pulledMs);
  totals.answerMs += requests * (answeredMs - forwardedMs);
}

export function noteFailed(totals: ServedTotals, tookMs: number): void {
  totals.failed += 1;
  totals.failedMs += tookMs;
}

export function totalsOf(all: Iterable<ServedTotals>): ServedTotals {
  const totals = { ...none };
  for (const one of all) for (const name of names) totals[name] += one[name];
  return totals;
}
