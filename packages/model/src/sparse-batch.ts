/**
 * The sparse features of a batch of examples, by table: which keys occur at all, and who uses them.
 *
 *   keys        uint32[unique, 2]       each key once, in order of first occurrence: what is pulled
 *   occurrence  (key, example, slot, x) one a feature of an example: x · row goes into the example's wide sum and slot; of what all
 *               items of a request share there is one, with its first item
 *
 * All arrays grow by doubling and are kept for the next batch; those that gather reads lie in memory that threads share. A key is found again by an open-addressing index whose
 * entries carry the table's stamp, so that clearing costs nothing. Of the index a batch uses as much as the batch before it
 * needed, and more once it has more keys: spread over what the largest batch needed, each key of a small one would be a
 * cache miss. Words of keys go from hand to hand as int32: a uint32 above 2^31 would be a number on the heap wherever a call is
 * not inlined.
 */
import type { FeaturePlan } from './feature-plan.ts';
import { sharedBytes, sharedFloats, sharedInts } from './shared-arrays.ts';

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
  /** By slot its stamp and its place in `keys`. */
  index: Int32Array;
  /** Of entries of this batch. From 1 to stampMax. */
  stamp: number;
  /** Words of `index` in use − 2; at most index.length − 2. */
  mask: number;
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
}

const firstSize = 256;
/** A slot is two words, and at most half of the slots are taken. */
const indexWordsOf = (keys: number) => 4 * keys;
const stampMax = 2 ** 31 - 1;

export function createSparseBatch(plan: FeaturePlan): SparseBatch {
  return {
    tables: plan.tables.map(() => ({
      keys: new Uint32Array(2 * firstSize),
      unique: 0,
      occurrences: 0,
      keyOf: sharedInts(firstSize),
      exampleOf: sharedInts(firstSize),
      slotOf: sharedInts(firstSize),
      xOf: sharedFloats(firstSize),
      sharedOf: sharedBytes(firstSize),
      index: new Int32Array(indexWordsOf(firstSize)),
      stamp: 1,
      mask: indexWordsOf(firstSize) - 2,
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
    starts: sharedInts(firstSize),
    requests: 0,
  };
}

/** Empties the batch for the next one. */
export function resetBatch(batch: SparseBatch): void {
  batch.rows = 0;
  batch.requests = 0;
  batch.scaled.count = 0;
  for (const table of batch.tables) {
    shrinkIndex(table);
    clearIndex(table);
    table.unique = 0;
    table.occurrences = 0;
  }
}

/** Keys of one example by field, and what becomes of them. */
export interface FieldKeys {
  /** uint32: the keys of field f are words[2 · (starts[f] … starts[f] + counts[f])]. */
  words: Uint32Array;
  readonly starts: Int32Array;
  readonly counts: Int32Array;
  readonly xs: Float32Array;
  /** Slot of a field's first key, −1: none; those of the next are `steps` further each. */
  readonly slots: Int32Array;
  readonly steps: Int32Array;
  /** 1: the items of the request share them. */
  readonly shared: Uint8Array;
}

/**
 * Adds one occurrence of each key of some fields, all of one table, to the example in work, which is number `batch.rows`.
 * @param fields  places of the fields.
 */
export function addOccurrences(
  batch: SparseBatch,
  table: TableBatch,
  fields: Int32Array,
  { words, starts, counts, xs, slots, steps, shared }: FieldKeys,
): void {
  const many = fields.length;
  let more = 0;
  for (let i = 0; i < many; i += 1) more += counts[fields[i]];
  reserve(table, more);
  const { keyOf, exampleOf, slotOf, xOf, sharedOf } = table;
  const { rows } = batch;
  let at = table.occurrences;
  for (let i = 0; i < many; i += 1) {
    const f = fields[i];
    const end = starts[f] + counts[f];
    let slot = slots[f];
    for (let k = starts[f]; k < end; k += 1) {
      keyOf[at] = placeOf(table, words[2 * k] | 0, words[2 * k + 1] | 0);
      exampleOf[at] = rows;
      slotOf[at] = slot;
      xOf[at] = xs[f];
      sharedOf[at] = shared[f];
      at += 1;
      slot += steps[f];
    }
  }
  table.occurrences = at;
}

/** As addOccurrences of one key. @param low,high  int32 or uint32. */
export function addOccurrence(
  batch: SparseBatch,
  table: TableBatch,
  low: number,
  high: number,
  slot: number,
  x: number,
  shared: 0 | 1 = 0,
): void {
  reserve(table, 1);
  const at = table.occurrences;
  table.keyOf[at] = placeOf(table, low | 0, high | 0);
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
  if (batch.requests === batch.starts.length) batch.starts = doubledShared(batch.starts);
  batch.starts[batch.requests] = batch.rows;
  batch.requests += 1;
}

/** Makes room in `lengths` for the example in work. */
export function reserveLengths(batch: SparseBatch, attended: number): void {
  if ((batch.rows + 1) * attended > batch.lengths.length) batch.lengths = doubled(batch.lengths);
}

/** Makes room for so many occurrences, each of a key of its own. */
export function reserve(table: TableBatch, more: number): void {
  while (table.occurrences + more > table.keyOf.length) growOccurrences(table);
  while (2 * (table.unique + more) > table.keys.length) {
    const keys = new Uint32Array(2 * table.keys.length);
    keys.set(table.keys);
    table.keys = keys;
  }
  while (indexWordsOf(table.unique + more) > table.mask + 2) growIndex(table);
}

/** Place of a key in `keys`; of a new one the next. @param low,high  int32. */
export function placeOf(table: TableBatch, low: number, high: number): number {
  const { index, keys, mask, stamp } = table;
  let at = homeOf(low, high, mask);
  while (index[at] === stamp) {
    const place = index[at + 1];
    if ((keys[2 * place] | 0) === low && (keys[2 * place + 1] | 0) === high) return place;
    at = (at + 2) & mask;
  }
  const place = table.unique;
  keys[2 * place] = low;
  keys[2 * place + 1] = high;
  table.unique = place + 1;
  index[at] = stamp;
  index[at + 1] = place;
  return place;
}

/** Where in `index` the slot of a key begins. */
function homeOf(low: number, high: number, mask: number): number {
  return (Math.imul(low ^ high, 0x9e3779b1) << 1) & mask;
}

function growOccurrences(table: TableBatch): void {
  table.keyOf = doubledShared(table.keyOf);
  table.exampleOf = doubledShared(table.exampleOf);
  table.slotOf = doubledShared(table.slotOf);
  const x = sharedFloats(2 * table.xOf.length);
  x.set(table.xOf);
  table.xOf = x;
  const shared = sharedBytes(2 * table.sharedOf.length);
  shared.set(table.sharedOf);
  table.sharedOf = shared;
}

function doubled(array: Int32Array): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(2 * array.length);
  larger.set(array);
  return larger;
}

function doubledShared(array: Int32Array): Int32Array {
  const larger = sharedInts(2 * array.length);
  larger.set(array);
  return larger;
}

function clearIndex(table: TableBatch): void {
  table.stamp = table.stamp === stampMax ? 1 : table.stamp + 1;
  if (table.stamp === 1) table.index.fill(0);
}

/** Leaves half of the index in use where that would have done for the keys there are. */
function shrinkIndex(table: TableBatch): void {
  const words = (table.mask + 2) / 2;
  if (words >= indexWordsOf(Math.max(firstSize, table.unique))) table.mask = words - 2;
}

function growIndex(table: TableBatch): void {
  const words = 2 * (table.mask + 2);
  table.mask = words - 2;
  if (words > table.index.length) {
    table.index = new Int32Array(words);
    table.stamp = 1;
  } else clearIndex(table);
  const { index, keys, mask, stamp } = table;
  for (let place = 0; place < table.unique; place += 1) {
    let at = homeOf(keys[2 * place], keys[2 * place + 1], mask);
    while (index[at] === stamp) at = (at + 2) & mask;
    index[at] = stamp;
    index[at + 1] = place;
  }
}
