/**
 * Puts whole rows into a table: what a snapshot holds. Like looking many keys up, it goes in passes over a stretch of keys,
 * so that cache misses overlap: touch the home slots, find or make each row, copy. putRow is the plain twin.
 */
import {
  addKey,
  findRow,
  markChanged,
  type RowTable,
  rowFrom,
  rowsReserved,
  touchSlots,
} from './row-table.ts';

/** Whole rows, in one order. */
export interface WholeRows {
  readonly count: number;
  /** uint32[count, 2] */
  readonly keys: Uint32Array;
  /** float32[count, dim] */
  readonly weights: Float32Array;
  /** float32[count, stateFloats] */
  readonly state: Float32Array;
}

/** Slots of a stretch are touched together and still in the cache when they are used. */
const stretchRows = 256;
const found = new Int32Array(stretchRows);
/** What was loaded ends here, or the compiler would drop the loads. */
const loaded = new Int32Array(1);

/**
 * Puts rows in place, each over the row of its key or as a new one, and marks them as changed. Reserve room before: where
 * the table has to grow, it goes key by key.
 */
export function putRows(table: RowTable, rows: WholeRows): void {
  for (let from = 0; from < rows.count; from += stretchRows) {
    const to = Math.min(rows.count, from + stretchRows);
    if (table.count + (to - from) <= rowsReserved(table)) putStretch(table, rows, from, to);
    else for (let i = from; i < to; i += 1) putRow(table, rows, i);
  }
}

/** Puts row `i` of `rows` in place. */
export function putRow(table: RowTable, { keys, weights, state }: WholeRows, i: number): void {
  const { dim, stateFloats } = table.layout;
  const low = keys[2 * i];
  const high = keys[2 * i + 1];
  let row = findRow(table, low, high);
  if (row < 0) row = addKey(table, low, high);
  else markChanged(table, row);
  table.weights.set(weights.subarray(i * dim, (i + 1) * dim), row * dim);
  table.state.set(state.subarray(i * stateFloats, (i + 1) * stateFloats), row * stateFloats);
}

function putStretch(table: RowTable, rows: WholeRows, from: number, to: number): void {
  const { keys, weights, state } = rows;
  const { dim, stateFloats } = table.layout;
  const stretch = keys.subarray(2 * from, 2 * to);
  const count = to - from;
  const first = table.count;
  loaded[0] = touchSlots(table, stretch, 0, count, found);
  for (let i = 0; i < count; i += 1) {
    const low = stretch[2 * i];
    const high = stretch[2 * i + 1];
    let row = rowFrom(table, found[i], low, high);
    if (row < 0) row = addKey(table, low, high);
    else markChanged(table, row);
    found[i] = row;
  }
  if (table.count === first + count) {
    // All of them are new, so they lie here in the order in which they came.
    table.weights.set(weights.subarray(from * dim, to * dim), first * dim);
    table.state.set(state.subarray(from * stateFloats, to * stateFloats), first * stateFloats);
    return;
  }
  scatterWords(weights, from, to, table.weights, dim);
  scatterWords(state, from, to, table.state, stateFloats);
}

/** Moves bits, not numbers: what is no number keeps its bits too. */
function scatterWords(
  source: Float32Array,
  from: number,
  to: number,
  target: Float32Array,
  width: number,
): void {
  const words = new Uint32Array(source.buffer, source.byteOffset + 4 * from * width, (to - from) * width);
  const out = new Uint32Array(target.buffer, target.byteOffset, target.length);
  for (let i = 0; i < to - from; i += 1) {
    const at = found[i] * width;
    for (let d = 0; d < width; d += 1) out[at + d] = words[i * width + d];
  }
}
