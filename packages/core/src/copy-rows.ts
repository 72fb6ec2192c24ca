/**
 * Copies rows by index: what every pull comes down to. Scattered rows are cache misses, so touchRows fetches them all
 * before copyRows moves them.
 *
 * A loop in JavaScript moves one number a step. Rows of even dim therefore move as float64, two weights a step, wherever
 * both sides lie 8-byte aligned. Nothing is computed with these numbers, and two weights make a float64 NaN, whose bits an
 * engine may change, only where one of them is a NaN that arithmetic does not give: applied gradients are finite.
 */
import type { RowTable } from './row-table.ts';

/** Where rows are copied to. */
export interface RowTarget {
  readonly out: Float32Array;
  /** Where the row of place 0 begins in `out`. */
  readonly at: number;
  /** The same memory from `at` as float64, null where dim is odd or `at` is not 8-byte aligned. */
  readonly pairs: Float64Array | null;
}

/** A target for `count` rows of `dim` floats from out[at]. */
export function rowTarget(out: Float32Array, at: number, count: number, dim: number): RowTarget {
  const byteOffset = out.byteOffset + 4 * at;
  const fits = dim % 2 === 0 && byteOffset % 8 === 0;
  return { out, at, pairs: fits ? new Float64Array(out.buffer, byteOffset, (count * dim) / 2) : null };
}

/**
 * Fetches the first and the last weight of rows[from … to): every cache line of a row of up to 16 floats. No branch depends
 * on what is loaded and a step is few instructions, so the processor has many of these cache misses under way at once.
 * @returns a mix of what was loaded. Keep it somewhere, or the compiler drops the loads.
 */
export function touchRows(table: RowTable, rows: Int32Array, from: number, to: number): number {
  const { weights } = table;
  const { dim } = table.layout;
  const last = dim - 1;
  let mix = 0;
  let i = from;
  for (; i + 4 <= to; i += 4) {
    const a = startOf(rows[i], dim);
    const b = startOf(rows[i + 1], dim);
    const c = startOf(rows[i + 2], dim);
    const d = startOf(rows[i + 3], dim);
    mix += weights[a] + weights[b] + weights[c] + weights[d];
    mix += weights[a + last] + weights[b + last] + weights[c + last] + weights[d + last];
  }
  for (; i < to; i += 1) mix += weights[startOf(rows[i], dim)];
  return mix;
}

/** Where a row begins; of −1, no row, where row 0 does, found without a branch. */
function startOf(row: number, dim: number): number {
  return (row & ~(row >> 31)) * dim;
}

/**
 * Copies row rows[i] to place places[i] of the target, for i from … to − 1; a row below 0 leaves its place as it is.
 * @param rows    int32[to or more].
 * @param places  uint32[to or more], in rows.
 */
export function copyRows(
  table: RowTable,
  rows: Int32Array,
  places: Uint32Array,
  from: number,
  to: number,
  target: RowTarget,
): void {
  const { weights, pairs, layout } = table;
  const { dim } = layout;
  if (pairs && target.pairs) {
    const width = dim / 2;
    for (let i = from; i < to; i += 1) {
      if (rows[i] >= 0) copyPairs(pairs, rows[i] * width, target.pairs, places[i] * width, width);
    }
    return;
  }
  const { out, at } = target;
  for (let i = from; i < to; i += 1) {
    if (rows[i] >= 0) copyFloats(weights, rows[i] * dim, out, at + places[i] * dim, dim);
  }
}

/** Copies row `row` to place `place` of the target. */
export function copyRow(table: RowTable, row: number, target: RowTarget, place: number): void {
  const { dim } = table.layout;
  const width = dim / 2;
  if (table.pairs && target.pairs) copyPairs(table.pairs, row * width, target.pairs, place * width, width);
  else copyFloats(table.weights, row * dim, target.out, target.at + place * dim, dim);
}

/**
 * Copies rows that lie one behind the other to their places: row i of `rows` to place places[from + i] of `out`.
 * @param rows  float32[count, dim].
 * @param out   float32[…, dim]; written.
 */
export function scatterRows(
  rows: Float32Array,
  places: Uint32Array,
  from: number,
  count: number,
  dim: number,
  out: Float32Array,
): void {
  const source = rowTarget(rows, 0, count, dim).pairs;
  const target = rowTarget(out, 0, Math.floor(out.length / dim), dim).pairs;
  if (source && target) {
    const width = dim / 2;
    for (let i = 0; i < count; i += 1) {
      copyPairs(source, i * width, target, places[from + i] * width, width);
    }
    return;
  }
  for (let i = 0; i < count; i += 1) copyFloats(rows, i * dim, out, places[from + i] * dim, dim);
}

/** One row. Unrolled by eight: three times as fast as a loop over one, and as fast as code written for one width. */
function copyPairs(
  source: Float64Array,
  sourceAt: number,
  out: Float64Array,
  outAt: number,
  width: number,
): void {
  let at = sourceAt;
  let put = outAt;
  const end = at + width;
  for (; at + 8 <= end; at += 8) {
    out[put] = source[at];
    out[put + 1] = source[at + 1];
    out[put + 2] = source[at + 2];
    out[put + 3] = source[at + 3];
    out[put + 4] = source[at + 4];
    out[put + 5] = source[at + 5];
    out[put + 6] = source[at + 6];
    out[put + 7] = source[at + 7];
    put += 8;
  }
  for (; at < end; at += 1) {
    out[put] = source[at];
    put += 1;
  }
}

/** The same over float32: a function of its own, since one that sees two kinds of array is fast with neither. */
function copyFloats(
  source: Float32Array,
  sourceAt: number,
  out: Float32Array,
  outAt: number,
  width: number,
): void {
  let at = sourceAt;
  let put = outAt;
  const end = at + width;
  for (; at + 8 <= end; at += 8) {
    out[put] = source[at];
    out[put + 1] = source[at + 1];
    out[put + 2] = source[at + 2];
    out[put + 3] = source[at + 3];
    out[put + 4] = source[at + 4];
    out[put + 5] = source[at + 5];
    out[put + 6] = source[at + 6];
    out[put + 7] = source[at + 7];
    put += 8;
  }
  for (; at < end; at += 1) {
    out[put] = source[at];
    put += 1;
  }
}
