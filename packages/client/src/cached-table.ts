/**
 * Copies of one table's rows, bounded in number: a row table without state, and for each row since when it is as it is. Packed
 * copies lie beside it, and its own rows then have no floats.
 * Which row makes room is found by a clock (Corbató 1968): the hand passes over each row that was read since it came by last,
 * once, and takes the first that was not. A row that was read once only thus goes before one that is read again and again.
 */
import {
  addKey,
  copyRows,
  createPackedRows,
  createRowTable,
  findRow,
  type PackedFormat,
  type PackedRows,
  packedBytes,
  packRow,
  type RowTable,
  replaceKey,
  reservePacked,
  rowTableBytes,
  rowTarget,
  type TableLayout,
  touchRows,
  unpackRow,
  unpackRows,
} from '@millrace/core';

/** How copies are kept: as they came, or in fewer bytes (core/quantize). */
export type CopyFormat = 'float32' | PackedFormat;

export interface CachedTable {
  readonly rows: RowTable;
  /** The copies, where they are packed; null: they are the weights of `rows`. */
  readonly packed: PackedRows | null;
  /** Floats of a row as it is read. */
  readonly dim: number;
  readonly rowsMax: number;
  /**
   * By row 16 bytes, so that what a hit asks of a row is one cache line: as float64 [2 · row] since when it is as it is, a sequence;
   * as words, in the same memory, `generationAt` and `usedAt`.
   */
  since: Float64Array;
  words: Uint32Array;
  hand: number;
}

/** words[4 · row + generationAt]: the partition's generation when the row was put in; 0: it is good for nothing. */
export const generationAt = 2;
/** words[4 · row + usedAt]: 1 once the row was read after the hand came by. */
export const usedAt = 3;

export function createCachedTable(layout: TableLayout, rowsMax: number, format: CopyFormat): CachedTable {
  const bare = { ...layout, stateFloats: 0, clockAt: 0, expiry: null, segments: [] };
  const isPacked = format !== 'float32';
  const since = new Float64Array(0);
  return {
    rows: createRowTable(isPacked ? { ...bare, dim: 0 } : bare),
    packed: isPacked ? createPackedRows(layout, format) : null,
    dim: layout.dim,
    rowsMax,
    since,
    words: new Uint32Array(since.buffer),
    hand: 0,
  };
}

/** Puts a copy in, over one of its key unless that one is newer. @param weights  float32, the row's are [at, at + dim). */
export function putCopy(
  table: CachedTable,
  low: number,
  high: number,
  weights: Float32Array,
  at: number,
  since: number,
  generation: number,
): void {
  const { rows } = table;
  let row = findRow(rows, low, high);
  if (row >= 0 && isOf(table, row, generation) && table.since[2 * row] > since) return;
  if (row < 0) {
    row = roomFor(table, low, high);
    table.words[4 * row + usedAt] = 0;
  }
  table.since[2 * row] = since;
  table.words[4 * row + generationAt] = generation;
  writeCopy(table, row, weights, at);
}

/**
 * Fetches what a hit asks of rows[i], i < count, and the row itself where it is not packed: scattered, all of these are cache misses,
 * and fetched together they overlap (core, touchRows).
 * @returns a mix of what was loaded. Keep it somewhere, or the compiler drops the loads.
 */
export function touchCopies(
  { rows: table, packed, since }: CachedTable,
  rows: Int32Array,
  count: number,
): number {
  let mix = packed === null ? touchRows(table, rows, 0, count) : 0;
  if (table.count === 0) return mix;
  for (let i = 0; i < count; i += 1) mix += since[2 * (rows[i] & ~(rows[i] >> 31))];
  return mix;
}

/**
 * Copies row rows[i] to place places[i] of `out`, i < count; a row below 0 leaves its place as it is.
 * @param out  float32[count, dim]; written.
 */
export function readCopies(
  { rows: table, packed, dim }: CachedTable,
  rows: Int32Array,
  places: Uint32Array,
  count: number,
  out: Float32Array,
): void {
  if (packed === null) copyRows(table, rows, places, 0, count, rowTarget(out, 0, count, dim));
  else unpackRows(packed, rows, places, 0, count, out);
}

/** Copies row `row` to out[at …]. */
export function readCopy(
  { rows, packed, dim }: CachedTable,
  row: number,
  out: Float32Array,
  at: number,
): void {
  if (packed === null) for (let d = 0; d < dim; d += 1) out[at + d] = rows.weights[row * dim + d];
  else unpackRow(packed, row, out, at);
}

/**
 * Writes what a row has become at `sequence`, where there is a good copy of it. Copies read at that sequence or later stay.
 * @param weights  float32, the row's are [at, at + dim); null: they were not told, and the copy is let go.
 */
export function renewCopy(
  table: CachedTable,
  row: number,
  generation: number,
  weights: Float32Array | null,
  at: number,
  sequence: number,
): boolean {
  if (row < 0 || !isOf(table, row, generation) || table.since[2 * row] >= sequence) return false;
  if (weights === null) {
    table.words[4 * row + generationAt] = 0;
    return true;
  }
  table.since[2 * row] = sequence;
  writeCopy(table, row, weights, at);
  return true;
}

/** Bytes of all that is kept. */
export function cachedTableBytes({ rows, packed, since }: CachedTable): number {
  return rowTableBytes(rows) + (packed === null ? 0 : packedBytes(packed)) + since.byteLength;
}

/** True when the row was put in at this generation of its partition. */
export function isOf({ words }: CachedTable, row: number, generation: number): boolean {
  return words[4 * row + generationAt] === generation;
}

/** A row for a key that has none: a new one, or one that makes room. */
function roomFor(table: CachedTable, low: number, high: number): number {
  const { rows, rowsMax, words } = table;
  if (rows.count < rowsMax) {
    const row = addKey(rows, low, high);
    if (2 * row >= table.since.length) growRows(table, Math.min(rowsMax, rows.keys.length / 2));
    return row;
  }
  let row = table.hand;
  while (words[4 * row + usedAt] !== 0) {
    words[4 * row + usedAt] = 0;
    row = row + 1 === rowsMax ? 0 : row + 1;
  }
  table.hand = row + 1 === rowsMax ? 0 : row + 1;
  replaceKey(rows, row, low, high);
  return row;
}

function growRows(table: CachedTable, rows: number): void {
  if (table.packed) reservePacked(table.packed, rows);
  const words = new Uint32Array(4 * rows);
  words.set(table.words);
  table.words = words;
  table.since = new Float64Array(words.buffer);
}

function writeCopy({ rows, packed, dim }: CachedTable, row: number, from: Float32Array, at: number): void {
  if (packed) {
    packRow(packed, row, from, at);
    return;
  }
  const put = row * dim;
  for (let d = 0; d < dim; d += 1) rows.weights[put + d] = from[at + d];
}
