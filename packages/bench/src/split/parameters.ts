/** What the runs of the benchmark do. */
export interface SplitParameters {
  readonly seed: number;
  /** Candidates of one request. */
  readonly candidates: number;
  /** Items that there are; requests draw them by a Zipf law. */
  readonly items: number;
  readonly users: number;
  /** Requests of one turn of a program, at most. */
  readonly requests: number;
  /** A turn ends after so much processor time. */
  readonly turnSeconds: number;
  /** Turns of each program; the median counts. */
  readonly turns: number;
}

export const fullSize: SplitParameters = {
  seed: 1,
  candidates: 100,
  items: 5_000,
  users: 2_000,
  requests: 100,
  turnSeconds: 0.03,
  turns: 6,
};

/** Small enough for a test. */
export const smokeSize: SplitParameters = {
  seed: 1,
  candidates: 20,
  items: 50,
  users: 20,
  requests: 3,
  turnSeconds: 1,
  turns: 2,
};
