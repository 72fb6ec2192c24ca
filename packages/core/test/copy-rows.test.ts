import fc from 'fast-check';
import { expect, test } from 'vitest';
import { copyRows, rowTarget, scatterRows, touchRows } from '../src/copy-rows.ts';
import { createRowTable, findOrAddRow, type RowTable } from '../src/row-table.ts';
import { embeddingLayout } from './model-files.ts';

/** A table of `rows` rows whose weights are 1, 2, 3, … in order. */
function countingTable(dim: number, rows: number): RowTable {
  const table = createRowTable(embeddingLayout(dim));
  for (let row = 0; row < rows; row += 1) findOrAddRow(table, row, 7);
  for (let i = 0; i < rows * dim; i += 1) table.weights[i] = i + 1;
  return table;
}

test('copy rows: rows go to their places, and a row below 0 leaves its place as it is', () => {
  const table = countingTable(2, 3);
  const out = new Float32Array(8);
  const target = rowTarget(out, 0, 4, 2);
  copyRows(table, Int32Array.of(2, -1, 0), Uint32Array.of(0, 1, 3), 0, 3, target);
  expect(Array.from(out)).toEqual([5, 6, 0, 0, 0, 0, 1, 2]);
});

test('copy rows: looks at the places from … to − 1 alone', () => {
  const table = countingTable(3, 4);
  const out = new Float32Array(12);
  copyRows(table, Int32Array.of(0, 1, 2, 3), Uint32Array.of(0, 1, 2, 3), 1, 3, rowTarget(out, 0, 4, 3));
  expect(Array.from(out)).toEqual([0, 0, 0, 4, 5, 6, 7, 8, 9, 0, 0, 0]);
});

const anyCopy = fc.record({
  // 16 and 17 pairs fill the unrolled loop; 1 to 7 do not reach it.
  dim: fc.integer({ min: 1, max: 35 }),
  rows: fc.array(fc.integer({ min: -1, max: 19 }), { maxLength: 30 }),
  // Odd offsets leave no room for pairs of even rows.
  at: fc.nat(3),
});

test('copy rows: equals set() row by row, at every width and offset (property)', () => {
  fc.assert(
    fc.property(anyCopy, ({ dim, rows, at }) => {
      const table = countingTable(dim, 20);
      const places = Uint32Array.from(rows, (_, i) => (i * 7) % 31);
      const out = new Float32Array(at + 31 * dim).fill(-1);
      const plain = out.slice();
      copyRows(table, Int32Array.from(rows), places, 0, rows.length, rowTarget(out, at, 31, dim));
      rows.forEach((row, i) => {
        if (row < 0) return;
        plain.set(table.weights.subarray(row * dim, (row + 1) * dim), at + places[i] * dim);
      });
      expect(out).toEqual(plain);
    }),
  );
});

test('copy rows: scatterRows puts rows to their places, at every width and alignment (property)', () => {
  fc.assert(
    fc.property(anyCopy, ({ dim, rows, at }) => {
      const count = rows.length;
      const source = Float32Array.from({ length: at + count * dim }, (_, i) => i + 1).subarray(at);
      const places = Uint32Array.from({ length: count + 2 }, (_, i) => (i * 7) % 31);
      const out = new Float32Array(31 * dim + (at % 2)).fill(-1).subarray(at % 2);
      const plain = out.slice();
      scatterRows(source, places, 2, count, dim, out);
      for (let i = 0; i < count; i += 1) {
        plain.set(source.subarray(i * dim, (i + 1) * dim), places[2 + i] * dim);
      }
      expect(out).toEqual(plain);
    }),
  );
});

test('copy rows: bits are kept: negative zero, infinities, the smallest number', () => {
  const table = countingTable(4, 1);
  const odd = [-0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 2 ** -149];
  table.weights.set(odd);
  const out = new Float32Array(4);
  copyRows(table, Int32Array.of(0), Uint32Array.of(0), 0, 1, rowTarget(out, 0, 1, 4));
  expect(Array.from(out)).toEqual(odd);
});

test('copy rows: touching changes nothing and takes rows of −1', () => {
  const table = countingTable(3, 2);
  const before = table.weights.slice();
  // First and last weights of rows 1, 0, −1 (which touches row 0) and 1.
  expect(touchRows(table, Int32Array.of(1, 0, -1, 1), 0, 4)).toBe(4 + 6 + (1 + 3) + (1 + 3) + 4 + 6);
  expect(table.weights).toEqual(before);
});
