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

/**
 * Reads while snapshots are written: a ranking request's keys, from a few callers that pause between an answer and their next
 * request. Without a pause the machine has no time to spare, and whatever else is done shows in the reads in full.
 */
export const readSetting = { count: 260, callers: 4, pauseMs: 2 } as const;
/** Rows that one update touches, and the pause after it: 5,000 rows a second, in 64 partitions. */
export const updateSetting = { rows: 500, pauseMs: 100 } as const;
/** Pause between two rounds of snapshots while they are on, ms: much shorter than anyone would choose. */
export const snapshotEveryMs = 1_000;
/** Keys of one gradient block: a large batch's share of one partition. */
export const blockKeys = 2_048;
