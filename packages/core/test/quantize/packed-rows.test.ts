import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  createPackedRows,
  packedBytes,
  packRow,
  reservePacked,
  unpackRow,
  unpackRows,
} from '../../src/quantize/packed-rows.ts';
import { type PackedLayout, packedFormats } from '../../src/quantize/row-format.ts';

const layoutOf = (wide: 0 | 1, embeddingDim: number, precision: 0 | 1 = 0): PackedLayout => ({
  dim: wide + embeddingDim + precision,
  hasWide: wide === 1,
  embeddingDim,
  precision: precision === 1 ? { at: wide + embeddingDim, prior: 1 } : null,
});
const layouts = [
  layoutOf(1, 0),
  layoutOf(0, 16),
  layoutOf(1, 8),
  layoutOf(1, 3),
  layoutOf(1, 8, 1),
  layoutOf(1, 0, 1),
];
const rows = 130;

/** What int8 may be off by, found from the weights alone, in float64. */
function int8Bound(layout: PackedLayout, table: Float32Array, row: number, d: number): number {
  const { dim, hasWide, embeddingDim } = layout;
  const weight = Math.abs(table[row * dim + d]);
  const wide = hasWide ? 1 : 0;
  if (d < wide) {
    const block = Math.floor(row / 64);
    let max = 0;
    for (let r = 64 * block; r < Math.min(rows, 64 * block + 64); r += 1)
      max = Math.max(max, Math.abs(table[r * dim]));
    return Math.max((2 * max) / 127, 2 ** -24);
  }
  if (embeddingDim >= 5 && d < wide + embeddingDim) {
    const own = table.subarray(row * dim + wide, row * dim + wide + embeddingDim);
    const [min, max] = [Math.min(...own), Math.max(...own)];
    // The offset may lie one half below the least weight, and the scale one half above what is needed.
    const range = max - min + Math.abs(min) * 2 ** -10 + 2 ** -24;
    return (range / 255) * (0.5 + 2 ** -10) + 2 ** -24 + Math.max(Math.abs(min), Math.abs(max)) * 2 ** -23;
  }
  return weight * 2 ** -11 + 2 ** -25;
}

test('packed rows: no weight is further off than its format says, however rows are written over', () => {
  const magnitude = fc.constantFrom(1e-6, 0.01, 0.5, 4, 300);
  const written = fc.array(
    fc.record({ row: fc.nat(rows - 1), scale: magnitude, shift: magnitude, seed: fc.nat(1e6) }),
    { minLength: 1, maxLength: 80 },
  );
  fc.assert(
    fc.property(
      fc.constantFrom(...layouts),
      fc.constantFrom(...packedFormats),
      written,
      (layout, format, writes) => {
        const { dim } = layout;
        const packed = createPackedRows(layout, format, rows);
        const plain = new Float32Array(rows * dim);
        let largest = 0;
        for (const { row, scale, shift, seed } of writes) {
          for (let d = 0; d < dim; d += 1)
            plain[row * dim + d] = Math.sin(seed + 3 * d) * scale + (seed % 3 === 0 ? shift : 0);
          largest = Math.max(largest, Math.abs(plain[row * dim]));
          packRow(packed, row, plain, row * dim);
        }
        const out = new Float32Array(dim);
        for (const { row } of writes) {
          unpackRow(packed, row, out, 0);
          for (let d = 0; d < dim; d += 1) {
            const weight = plain[row * dim + d];
            let bound = Math.abs(weight) * 2 ** -11 + 2 ** -25;
            if (format === 'int8') {
              bound = int8Bound(layout, plain, row, d);
              // A block keeps the scale of the largest weight that it ever held.
              if (layout.hasWide && d === 0) bound = Math.max(bound, (2 * largest) / 127);
            }
            expect(Math.abs(out[d] - weight)).toBeLessThanOrEqual(bound);
          }
        }
      },
    ),
    { numRuns: 300 },
  );
});

test('packed rows: one row of int8, hand-computed', () => {
  const packed = createPackedRows(layoutOf(1, 5, 1), 'int8', 1);
  const row = Float32Array.of(-2, 0, 255, 51, 102.4, 1, 1000);
  packRow(packed, 0, row, 0);
  // Wide: 127 · 2^−6 < 2 ≤ 127 · 2^−5, so −2 is −64 steps of 1/32. Grid: offset 0, scale 1.
  expect(packed.scales[0]).toBe(1 / 32);
  expect([...packed.bytes]).toEqual([192, 0x00, 0x3c, 0, 0, 0, 255, 51, 102, 1, 0xd0, 0x63]);
  const out = new Float32Array(7);
  unpackRow(packed, 0, out, 0);
  expect([...out]).toEqual([-2, 0, 255, 51, 102, 1, 1000]);
});

test('packed rows: zero wide weights stay 0 beside large ones, equal weights stay equal', () => {
  const packed = createPackedRows(layoutOf(1, 8), 'int8', 64);
  const zero = new Float32Array(9);
  packRow(packed, 3, zero, 0);
  packRow(packed, 4, new Float32Array(9).fill(1_000), 0);
  const out = new Float32Array(18).fill(7);
  unpackRows(packed, Int32Array.of(3, -1, 4), Uint32Array.of(0, 5, 1), 0, 3, out);
  expect([...out.subarray(0, 9)]).toEqual([...zero]);
  expect(new Set(out.subarray(10)).size).toBe(1);
});

test('packed rows: stay while room grows, and take the bytes that the formats are for', () => {
  const packed = createPackedRows(layoutOf(1, 8), 'int8', 2);
  const row = Float32Array.from({ length: 9 }, (_, d) => d / 7 - 0.5);
  packRow(packed, 1, row, 0);
  const before = new Float32Array(9);
  unpackRow(packed, 1, before, 0);
  reservePacked(packed, 200);
  const after = new Float32Array(9);
  unpackRow(packed, 1, after, 0);
  expect(after).toEqual(before);
  const shareOf = (layout: PackedLayout, format: 'float16' | 'int8') =>
    packedBytes(createPackedRows(layout, format, 6_400)) / (6_400 * 4 * layout.dim);
  expect(shareOf(layoutOf(1, 0), 'int8')).toBeCloseTo(1.0625 / 4, 6);
  expect(shareOf(layoutOf(0, 16), 'int8')).toBeCloseTo(20 / 64, 6);
  expect(shareOf(layoutOf(1, 8), 'int8')).toBeCloseTo(13.0625 / 36, 6);
  expect(shareOf(layoutOf(1, 8), 'float16')).toBe(0.5);
});
