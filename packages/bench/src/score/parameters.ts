/** What one run of the scoring benchmark measures. */

export interface ScoreParameters {
  /** Of all fields together. */
  readonly rows: number;
  /** Candidates a request. */
  readonly items: number;
  readonly partitions: number;
  /** Rows that the inference node keeps; 0: none. */
  readonly cacheRows: number;
  /** Whether requests ask for impressions; the reference logs none, so by default neither does Millrace. */
  readonly log: boolean;
  /** Of the net's weights. */
  readonly denseLearningRate: number;
  /** A rate holds while 99 of 100 requests are answered within this; one that is refused is not. */
  readonly msP99Max: number;
  /** Runs of each stack, in turns, each at a rate that follows from how those before went. */
  readonly steps: number;
  /** Of a run. */
  readonly stepMs: number;
  /** Of each run, not counted. */
  readonly warmMs: number;
  readonly seed: number;
}

export const fields = 10;
export const dim = 16;
export const hiddenUnits = [128, 64] as const;

export const fullSize: ScoreParameters = {
  rows: 1_000_000,
  items: 100,
  partitions: 16,
  cacheRows: 262_144,
  log: false,
  denseLearningRate: 0.001,
  msP99Max: 50,
  steps: 30,
  stepMs: 4_000,
  warmMs: 1_000,
  seed: 1,
};

/** Small enough for a test: shows that both stacks run and agree, measures nothing worth quoting. */
export const smokeSize: ScoreParameters = {
  ...fullSize,
  rows: 10_000,
  cacheRows: 16_384,
  steps: 4,
  stepMs: 500,
  warmMs: 200,
};
