/**
 * Copies of one table's rows, bounded in number: a row table without state, and for each row since when it is as it is.
 * Which row makes room is found by a clock (Corbató 1968): the hand passes over each row that was read since it came by last,
 * once, and takes the first that was not. A row that was read once only thus goes before one that is read again and again.
 */
import {
  addKey,
  createRowTable,
  findRow,
  type RowTable,
  replaceKey,
  rowTableBytes,
  type TableLayout,
} from '@millrace/core';

export interface CachedTable {
  readonly rows: RowTable;
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

export function createCachedTable(layout: TableLayout, rowsMax: number): CachedTable {
  const rows = createRowTable({ ...layout, stateFloats: 0, clockAt: 0, expiry: null, segments: [] });
  const since = new Float64Array(0);
  return { rows, rowsMax, since, words: new Uint32Array(since.buffer), hand: 0 };
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
  writeRow(rows, row, weights, at);
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
  writeRow(table.rows, row, weights, at);
  return true;
}

/** Bytes of all that is kept. */
export function cachedTableBytes({ rows, since }: CachedTable): number {
  return rowTableBytes(rows) + since.byteLength;
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
    if (2 * row >= table.since.length) growMarks(table, Math.min(rowsMax, rows.keys.length / 2));
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

function growMarks(table: CachedTable, rows: number): void {
  const words = new Uint32Array(4 * rows);
  words.set(table.words);
  table.words = words;
  table.since = new Float64Array(words.buffer);
}

function writeRow({ weights, layout }: RowTable, row: number, from: Float32Array, at: number): void {
  const { dim } = layout;
  const put = row * dim;
  for (let d = 0; d < dim; d += 1) weights[put + d] = from[at + d];
}
