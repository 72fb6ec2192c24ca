/**
 * Rows in fewer bytes (row-format.ts), written and read one by one: what a cache of copies keeps.
 *
 *   bytes   uint8[stride · rows]
 *   scales  float32[rows / 64]     of the wide weights of a block of 64 rows, a power of two or 0; none for float16
 *
 * A wide weight that does not fit doubles its block's scale until it does, and the codes of the block are rounded to the new
 * one. Each doubling adds half a new step of error at most, so a code is off by no more than one step of the last scale, which
 * is below 2 · max|w| / 127. A scale does not shrink again: a block that once held a large weight stays coarse.
 *
 * Error bounds, for weights within ±65504: float16 |x| · 2^−11 + 2^−25; a grid scale / 2, where scale ≤ (max − min) / 255
 * rounded up to binary16, plus the rounding of its offset; a wide weight as above. Zero wide weights stay 0.
 */
import { floatFromHalf, halfAbove, halfBelow, halfFrom, halfMax, roundHalfEven } from './float16.ts';
import { type PackedFormat, type PackedLayout, type RowShape, rowShape } from './row-format.ts';

const blockRows = 64;
const codeMax = 127;
/** The finest scale of a block: finer than any weight needs, so that doublings stay few. */
const scaleMin = 2 ** -24;

export interface PackedRows {
  readonly shape: RowShape;
  bytes: Uint8Array;
  scales: Float32Array;
}

export function createPackedRows(layout: PackedLayout, format: PackedFormat, rows = 0): PackedRows {
  const packed = { shape: rowShape(layout, format), bytes: new Uint8Array(0), scales: new Float32Array(0) };
  reservePacked(packed, rows);
  return packed;
}

/** Makes room for so many rows in all; those that are there stay. */
export function reservePacked(packed: PackedRows, rows: number): void {
  const { stride, wideAt } = packed.shape;
  if (rows * stride <= packed.bytes.length) return;
  const bytes = new Uint8Array(rows * stride);
  bytes.set(packed.bytes);
  packed.bytes = bytes;
  if (wideAt < 0) return;
  const scales = new Float32Array(Math.ceil(rows / blockRows));
  scales.set(packed.scales);
  packed.scales = scales;
}

export function packedBytes({ bytes, scales }: PackedRows): number {
  return bytes.byteLength + scales.byteLength;
}

/** Writes row `row`. @param weights  float32, the row's are [at, at + dim); beyond ±65504 they are cut. */
export function packRow(packed: PackedRows, row: number, weights: Float32Array, at: number): void {
  const { shape, bytes } = packed;
  const start = row * shape.stride;
  if (shape.wideAt >= 0) packWide(packed, row, weights[at]);
  if (shape.gridAt >= 0) packGrid(bytes, start + shape.gridAt, weights, at + shape.gridFrom, shape.gridDim);
  let put = start + shape.halvesAt;
  for (let d = shape.halvesFrom; d < shape.halvesTo; d += 1, put += 2)
    putHalf(bytes, put, halfFrom(weights[at + d]));
}

/** Reads row `row`. @param out  float32, [at, at + dim) is written. */
export function unpackRow(packed: PackedRows, row: number, out: Float32Array, at: number): void {
  const { shape, bytes, scales } = packed;
  const start = row * shape.stride;
  if (shape.wideAt >= 0)
    out[at] = ((bytes[start + shape.wideAt] << 24) >> 24) * scales[Math.floor(row / blockRows)];
  if (shape.gridAt >= 0) {
    const grid = start + shape.gridAt;
    const scale = floatFromHalf(halfAt(bytes, grid));
    const offset = floatFromHalf(halfAt(bytes, grid + 2));
    const to = at + shape.gridFrom;
    for (let d = 0; d < shape.gridDim; d += 1) out[to + d] = offset + scale * bytes[grid + 4 + d];
  }
  let from = start + shape.halvesAt;
  for (let d = shape.halvesFrom; d < shape.halvesTo; d += 1, from += 2)
    out[at + d] = floatFromHalf(halfAt(bytes, from));
}

/**
 * Reads row rows[i] to place places[i] of `out`, for i from … to − 1; a row below 0 leaves its place as it is.
 * @param out  float32[…, dim]; written.
 */
export function unpackRows(
  packed: PackedRows,
  rows: Int32Array,
  places: Uint32Array,
  from: number,
  to: number,
  out: Float32Array,
): void {
  const { dim } = packed.shape;
  for (let i = from; i < to; i += 1) if (rows[i] >= 0) unpackRow(packed, rows[i], out, places[i] * dim);
}

function packWide(packed: PackedRows, row: number, weight: number): void {
  const { scales, bytes, shape } = packed;
  const block = Math.floor(row / blockRows);
  const magnitude = Math.min(Math.abs(weight), halfMax);
  if (magnitude > codeMax * scales[block]) growScale(packed, block, magnitude);
  const scale = scales[block];
  const code = scale === 0 ? 0 : roundHalfEven(magnitude / scale);
  bytes[row * shape.stride + shape.wideAt] = weight < 0 ? -code : code;
}

/** Doubles a block's scale until `magnitude` fits and rounds its codes to it. */
function growScale({ scales, bytes, shape }: PackedRows, block: number, magnitude: number): void {
  const before = scales[block];
  let scale = before === 0 ? scaleMin : before;
  while (magnitude > codeMax * scale) scale *= 2;
  scales[block] = scale;
  const factor = before / scale;
  const end = Math.min(bytes.length, (block + 1) * blockRows * shape.stride);
  for (let at = block * blockRows * shape.stride + shape.wideAt; at < end; at += shape.stride)
    bytes[at] = roundHalfEven(((bytes[at] << 24) >> 24) * factor);
}

function packGrid(bytes: Uint8Array, grid: number, weights: Float32Array, at: number, dim: number): void {
  let min = halfMax;
  let max = -halfMax;
  for (let d = 0; d < dim; d += 1) {
    min = Math.min(min, weights[at + d]);
    max = Math.max(max, weights[at + d]);
  }
  const low = halfBelow(Math.max(min, -halfMax));
  const offset = floatFromHalf(low);
  // Rounded up, so that the largest weight is on the grid.
  const step = halfAbove((Math.min(max, halfMax) - offset) / 255);
  const scale = floatFromHalf(step);
  putHalf(bytes, grid, step);
  putHalf(bytes, grid + 2, low);
  for (let d = 0; d < dim; d += 1) {
    const code = scale === 0 ? 0 : roundHalfEven((weights[at + d] - offset) / scale);
    bytes[grid + 4 + d] = Math.min(255, Math.max(0, code));
  }
}

function putHalf(bytes: Uint8Array, at: number, half: number): void {
  bytes[at] = half;
  bytes[at + 1] = half >>> 8;
}

function halfAt(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8);
}
