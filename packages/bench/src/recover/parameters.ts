/** What one run measures. */

export interface RecoverParameters {
  readonly rows: number;
  readonly partitions: number;
  readonly seed: number;
  /** Share of the rows that change after the snapshots, so that a restore has something to replay. */
  readonly tailShare: number;
  /** Rounds of reads with snapshots and without, in turns. */
  readonly rounds: number;
  readonly roundMs: number;
}

export const fullSize: RecoverParameters = {
  rows: 1_000_000,
  partitions: 64,
  seed: 1,
  tailShare: 0.1,
  rounds: 5,
  roundMs: 4_000,
};

/** Small enough for a test. */
export const smokeSize: RecoverParameters = {
  ...fullSize,
  rows: 20_000,
  partitions: 8,
  rounds: 1,
  roundMs: 300,
};

/** Reads while snapshots are written: a ranking request's keys, a few requests under way. */
export const readSetting = { count: 260, inFlight: 4 } as const;
/** Pause between two rounds of snapshots while they are on, ms: much shorter than anyone would choose. */
export const snapshotEveryMs = 200;
/** Keys of one gradient block: a large batch's share of one partition. */
export const blockKeys = 2_048;
