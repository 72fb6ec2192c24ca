/** What one run measures. */

export interface PullParameters {
  readonly rows: number;
  readonly partitions: number;
  readonly seed: number;
  /** Measured rounds of each setting; one more before them warms up. */
  readonly rounds: number;
  readonly roundMs: number;
}

export interface Setting {
  /** Keys a request. */
  readonly count: number;
  /** Requests under way at once. */
  readonly inFlight: number;
}

/** One example's features, a ranking request, a batch of them; each alone and pipelined. */
export const settings: readonly Setting[] = [26, 260, 2_600].flatMap((count) =>
  [1, 8].map((inFlight) => ({ count, inFlight })),
);

/** The setting that the headline figures are of. */
export const headline = settings[settings.length - 1];

export const fullSize: PullParameters = {
  rows: 1_000_000,
  partitions: 64,
  seed: 1,
  rounds: 5,
  roundMs: 500,
};

/** Small enough for a unit test. */
export const smokeSize: PullParameters = { ...fullSize, rows: 10_000, rounds: 1, roundMs: 20 };
