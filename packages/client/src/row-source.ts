/** Where rows come from: shards over TCP (pull-client.ts) or, in one process, straight from their memory. */
import type { TableLayout } from '@millrace/core';

/** Sequences at which rows were read, collected over the pulls of one batch; owned and reset by the caller. */
export interface ReadMarks {
  partitions: Uint16Array;
  /** Applied sequence of the partition at the same place. */
  sequences: Float64Array;
  count: number;
}

export interface PullRequest {
  readonly model: string;
  readonly layout: TableLayout;
  /** uint32[2 · count], each key once; only read, and not after the pull has ended. */
  readonly keys: Uint32Array;
  readonly count: number;
  /** float32[count, dim], written in key order. */
  readonly out: Float32Array;
  readonly marks: ReadMarks;
  /** What to do where no owner answers: 'default' puts first values and says degraded; 'fail' throws. */
  readonly onAbsent: 'default' | 'fail';
}

export interface PullOutcome {
  /** True when first values stand in for some rows. */
  readonly degraded: boolean;
}

export interface RowSource {
  /** @throws MILL_SHARD_UNAVAILABLE, MILL_NOT_READY when a partition has no answering owner and onAbsent is 'fail'. */
  pull(request: PullRequest): Promise<PullOutcome>;
}

export function createReadMarks(): ReadMarks {
  return { partitions: new Uint16Array(64), sequences: new Float64Array(64), count: 0 };
}

/** Adds one mark, growing as needed. */
export function addReadMark(marks: ReadMarks, partition: number, sequence: number): void {
  if (marks.count === marks.partitions.length) {
    const partitions = new Uint16Array(2 * marks.count);
    partitions.set(marks.partitions);
    const sequences = new Float64Array(2 * marks.count);
    sequences.set(marks.sequences);
    marks.partitions = partitions;
    marks.sequences = sequences;
  }
  marks.partitions[marks.count] = partition;
  marks.sequences[marks.count] = sequence;
  marks.count += 1;
}
