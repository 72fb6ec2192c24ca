/** What one run does. */

export interface SwapParameters {
  /** Label moves in all, spread over the phases with swaps. */
  readonly swaps: number;
  /** Pairs of phases, one with swaps and one without. */
  readonly pairs: number;
  readonly swapEveryMs: number;
  /** Versions that the label goes round; only that and the one before are loaded at a time. */
  readonly versions: number;
  /** Callers that each have one request under way. */
  readonly callers: number;
  /** Between a caller's requests, ms. */
  readonly pauseMs: number;
  /** Candidates a request. */
  readonly items: number;
}

export const fullSize: SwapParameters = {
  swaps: 100,
  pairs: 10,
  swapEveryMs: 500,
  versions: 4,
  callers: 8,
  pauseMs: 4,
  items: 100,
};

/** Small enough for a test. */
export const smokeSize: SwapParameters = {
  ...fullSize,
  swaps: 4,
  swapEveryMs: 150,
  pairs: 1,
  versions: 3,
  callers: 2,
  items: 5,
};
