/**
 * The sparse features of a batch of examples, by table: which keys occur at all, and who uses them.
 *
 *   keys        uint32[unique, 2]       each key once, in order of first occurrence: what is pulled
 *   occurrence  (key, example, slot, x) one a feature of an example: x · row goes into the example's wide sum and slot; of what all
 *               items of a request share there is one, with its first item
 *
 * All arrays grow by doubling and are kept for the next batch. A key is found again by an open-addressing index whose
 * entries carry the batch's stamp, so that clearing costs nothing.
 */
import type { FeaturePlan } from './feature-plan.ts';

export interface TableBatch {
  keys: Uint32Array;
  unique: number;
  occurrences: number;
  /** Place in `keys`. */
  keyOf: Int32Array;
  exampleOf: Int32Array;
  /** First float of the slot in the example's embeddings, −1: none. */
  slotOf: Int32Array;
  xOf: Float32Array;
  /** 1: a feature of the request, of which the other items of exampleOf have no occurrence of their own. */
  sharedOf: Uint8Array;
  index: Int32Array;
  stamps: Uint32Array;
}

/** Occurrences whose x is normalised by running moments once their dense version is known (moments.ts). */
export interface ScaledOccurrences {
  tableOf: Int32Array;
  occurrenceOf: Int32Array;
  /** Place among the fields with running moments. */
  fieldOf: Int32Array;
  count: number;
}

export interface SparseBatch {
  readonly tables: readonly TableBatch[];
  /** float32[rows, denseInputs] */
  dense: Float32Array;
  /** int32[rows, attended]: lengths of attended sequences. */
  lengths: Int32Array;
  /** float32[rows, fields with running moments]: their values as they came, NaN where there was none. */
  raw: Float32Array;
  readonly scaled: ScaledOccurrences;
  rows: number;
  /** int32[requests]: the first example of each request. */
  starts: Int32Array;
  requests: number;
  stamp: number;
}

const firstSize = 256;

export function createSparseBatch(plan: FeaturePlan): SparseBatch {
  return {
    tables: plan.tables.map(() => ({
      keys: new Uint32Array(2 * firstSize),
      unique: 0,
      occurrences: 0,
      keyOf: new Int32Array(firstSize),
      exampleOf: new Int32Array(firstSize),
      slotOf: new Int32Array(firstSize),
      xOf: new Float32Array(firstSize),
      sharedOf: new Uint8Array(firstSize),
      index: new Int32Array(2 * firstSize),
      stamps: new Uint32Array(2 * firstSize),
    })),
    dense: new Float32Array(firstSize * plan.denseInputs.length),
    lengths: new Int32Array(firstSize * plan.attended),
    raw: new Float32Array(firstSize * plan.moments.length),
    scaled: {
      tableOf: new Int32Array(firstSize),
      occurrenceOf: new Int32Array(firstSize),
      fieldOf: new Int32Array(firstSize),
      count: 0,
    },
    rows: 0,
    starts: new Int32Array(firstSize),
    requests: 0,
    stamp: 1,
  };
}

/** Empties the batch for the next one. */
export function resetBatch(batch: SparseBatch): void {
  batch.rows = 0;
  batch.requests = 0;
  batch.stamp += 1;
  batch.scaled.count = 0;
  for (const table of batch.tables) {
    table.unique = 0;
    table.occurrences = 0;
  }
}

/** Adds one occurrence of a key (uint32 words) to the example in work, which is number `batch.rows`. */
export function addOccurrence(
  batch: SparseBatch,
  table: TableBatch,
  low: number,
  high: number,
  slot: number,
  x: number,
  shared: 0 | 1 = 0,
): void {
  const at = table.occurrences;
  if (at === table.keyOf.length) growOccurrences(table);
  table.keyOf[at] = uniqueKey(batch, table, low, high);
  table.exampleOf[at] = batch.rows;
  table.slotOf[at] = slot;
  table.xOf[at] = x;
  table.sharedOf[at] = shared;
  table.occurrences = at + 1;
}

/** Notes that the newest occurrence in a table is of a field with running moments. */
export function noteScaled({ tables, scaled }: SparseBatch, table: number, field: number): void {
  if (scaled.count === scaled.tableOf.length) {
    scaled.tableOf = doubled(scaled.tableOf);
    scaled.occurrenceOf = doubled(scaled.occurrenceOf);
    scaled.fieldOf = doubled(scaled.fieldOf);
  }
  scaled.tableOf[scaled.count] = table;
  scaled.occurrenceOf[scaled.count] = tables[table].occurrences - 1;
  scaled.fieldOf[scaled.count] = field;
  scaled.count += 1;
}

/** Notes that the example in work is the first of its request. */
export function noteRequest(batch: SparseBatch): void {
  if (batch.requests === batch.starts.length) batch.starts = doubled(batch.starts);
  batch.starts[batch.requests] = batch.rows;
  batch.requests += 1;
}

/** Makes room in `lengths` for the example in work. */
export function reserveLengths(batch: SparseBatch, attended: number): void {
  if ((batch.rows + 1) * attended > batch.lengths.length) batch.lengths = doubled(batch.lengths);
}

function uniqueKey(batch: SparseBatch, table: TableBatch, low: number, high: number): number {
  if (2 * (table.unique + 1) > table.index.length) growIndex(batch, table);
  const { index, stamps, keys } = table;
  const mask = index.length - 1;
  let slot = Math.imul(low ^ high, 0x9e3779b1) & mask;
  while (stamps[slot] === batch.stamp) {
    const place = index[slot];
    if (keys[2 * place] === low && keys[2 * place + 1] === high) return place;
    slot = (slot + 1) & mask;
  }
  const place = table.unique;
  if (2 * place === keys.length) {
    table.keys = new Uint32Array(2 * keys.length);
    table.keys.set(keys);
  }
  table.keys[2 * place] = low;
  table.keys[2 * place + 1] = high;
  table.unique = place + 1;
  index[slot] = place;
  stamps[slot] = batch.stamp;
  return place;
}

function growOccurrences(table: TableBatch): void {
  table.keyOf = doubled(table.keyOf);
  table.exampleOf = doubled(table.exampleOf);
  table.slotOf = doubled(table.slotOf);
  const x = new Float32Array(2 * table.xOf.length);
  x.set(table.xOf);
  table.xOf = x;
  const shared = new Uint8Array(2 * table.sharedOf.length);
  shared.set(table.sharedOf);
  table.sharedOf = shared;
}

function doubled(array: Int32Array): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(2 * array.length);
  larger.set(array);
  return larger;
}

function growIndex(batch: SparseBatch, table: TableBatch): void {
  const size = 2 * table.index.length;
  const mask = size - 1;
  table.index = new Int32Array(size);
  table.stamps = new Uint32Array(size);
  for (let place = 0; place < table.unique; place += 1) {
    let slot = Math.imul(table.keys[2 * place] ^ table.keys[2 * place + 1], 0x9e3779b1) & mask;
    while (table.stamps[slot] === batch.stamp) slot = (slot + 1) & mask;
    table.index[slot] = place;
    table.stamps[slot] = batch.stamp;
  }
}
