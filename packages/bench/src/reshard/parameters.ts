/** What one run does. */

export interface ReshardParameters {
  /** Rows that are there before the load begins, so that a move has something to move. */
  readonly rows: number;
  readonly partitions: number;
  /** Load before, between and after the moves, ms. */
  readonly calmMs: number;
  readonly callers: number;
}

export const fullSize: ReshardParameters = { rows: 500_000, partitions: 64, calmMs: 5_000, callers: 4 };

/** Small enough for a test. */
export const smokeSize: ReshardParameters = { rows: 5_000, partitions: 8, calmMs: 1_000, callers: 2 };
