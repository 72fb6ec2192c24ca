/**
 * A token bucket that bounds second requests: each request earns a twentieth of one, and no more than 32 are saved up. Of n
 * requests at most n / 20 + 32 are asked twice, so a cluster that is slow throughout is not made to do everything twice.
 */

/** At a hedge after the p95, one request in twenty is due by definition. */
const earnedByRequest = 0.05;
/** What is under way to a shard that falls silent can be asked elsewhere at once: a few batches' parts. */
const savedMax = 32;

export interface HedgeBudget {
  /** A request was sent. */
  earn(): void;
  /** Pays for `requests` second requests; false, and nothing paid, when there is not enough. */
  spend(requests: number): boolean;
}

/** Starts full. */
export function createHedgeBudget(): HedgeBudget {
  let saved = savedMax;
  return {
    earn() {
      saved = Math.min(savedMax, saved + earnedByRequest);
    },
    spend(requests) {
      if (saved < requests) return false;
      saved -= requests;
      return true;
    },
  };
}
