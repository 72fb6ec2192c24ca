/** Where rows come from: shards over TCP (pull-client.ts) or, in one process, straight from their memory. */
import type { TableLayout } from '@millrace/core';

/** Partitions of a model by default; more grow by doubling. */
const firstMarks = 64;

/** Sequences at which rows were read, collected over the pulls of one batch; owned and reset by the caller. */
export interface ReadMarks {
  /** Place of the table in the model file; 0 where only one table is pulled. */
  tables: Uint16Array;
  partitions: Uint16Array;
  /** Applied sequence of the partition at the same place. */
  sequences: Float64Array;
  count: number;
  /** By place of the table: where the pull of one table collects its own before they come in here (pull-tables.ts). */
  readonly ofTables: ReadMarks[];
}

/** Some keys of a pull, in ascending places. */
export interface Places {
  /** Place of the i-th is list[from + i]; without a list it is from + i. */
  readonly list: Uint32Array | null;
  readonly from: number;
  readonly count: number;
}

export interface PullRequest {
  readonly model: string;
  readonly layout: TableLayout;
  /** uint32[2 · count], each key once; only read, and not after the pull has ended. */
  readonly keys: Uint32Array;
  readonly count: number;
  /** The keys that are wanted, where it is not all of them; the places of others in `out` are left alone. */
  readonly places?: Places;
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
  return {
    tables: new Uint16Array(firstMarks),
    partitions: new Uint16Array(firstMarks),
    sequences: new Float64Array(firstMarks),
    count: 0,
    ofTables: [],
  };
}

/** Adds one mark, growing as needed. */
export function addReadMark(marks: ReadMarks, partition: number, sequence: number, table = 0): void {
  const { count } = marks;
  if (count === marks.partitions.length) {
    marks.tables = doubled(marks.tables, new Uint16Array(2 * count));
    marks.partitions = doubled(marks.partitions, new Uint16Array(2 * count));
    marks.sequences = doubled(marks.sequences, new Float64Array(2 * count));
  }
  marks.tables[count] = table;
  marks.partitions[count] = partition;
  marks.sequences[count] = sequence;
  marks.count = count + 1;
}

function doubled<A extends Uint16Array | Float64Array>(array: A, larger: A): A {
  larger.set(array);
  return larger;
}
