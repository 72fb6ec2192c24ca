/** What the runs of the benchmark do. */

export interface LearnParameters {
  readonly seed: number;
  /** Requests of the main stream, eight items each; half of them before the drift. */
  readonly requests: number;
  /** Requests of the runs that sample negatives, which have no drift. */
  readonly sampledRequests: number;
  /** Event time between two requests, ms. */
  readonly everyMs: number;
  /** Examples of one gradient step. */
  readonly batchExamples: number;
}

export const fullSize: LearnParameters = {
  seed: 1,
  requests: 25_000,
  sampledRequests: 25_000,
  everyMs: 4_000,
  batchExamples: 64,
};

/** Small enough for a test. */
export const smokeSize: LearnParameters = {
  seed: 1,
  requests: 1_500,
  sampledRequests: 1_500,
  everyMs: 4_000,
  batchExamples: 64,
};

export const negativeRates = [1, 0.1, 0.01] as const;
/** Clicks of the delayed run come up to so long after their impression. */
export const delayMsMax = 3_600_000;
/** Events of the reordered run reach the log in any order within this, ms: fifteen requests. */
export const horizonMs = 60_000;
/** Longer than any click takes, in any run. */
export const joinWindowMs = delayMsMax + 2 * horizonMs;
