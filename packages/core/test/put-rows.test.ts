import fc from 'fast-check';
import { expect, test } from 'vitest';
import { putRow, putRows, type WholeRows } from '../src/put-rows.ts';
import {
  changedCount,
  clearChanged,
  createRowTable,
  findOrAddRow,
  findRow,
  type RowTable,
  reserveRows,
} from '../src/row-table.ts';
import { embeddingLayout } from './model-files.ts';

// dim 2; 2 floats of state a row.
const layout = embeddingLayout(2, { type: 'adagrad', learningRate: 0.1 });

/** Rows of the keys, each full of numbers that tell which row and when. */
function wholeRows(keys: readonly (readonly [number, number])[], salt = 0): WholeRows {
  const floats = (from: number) => new Float32Array(2 * keys.length).map((_, i) => from + salt + i / 2);
  return {
    count: keys.length,
    keys: Uint32Array.from(keys.flat()),
    weights: floats(0),
    state: floats(1_000),
  };
}

/** All rows by key. */
function contentOf(table: RowTable): Map<string, readonly number[]> {
  const rows = new Map<string, readonly number[]>();
  for (let row = 0; row < table.count; row += 1) {
    const name = `${table.keys[2 * row]},${table.keys[2 * row + 1]}`;
    rows.set(name, [
      ...table.weights.slice(2 * row, 2 * row + 2),
      ...table.state.slice(2 * row, 2 * row + 2),
    ]);
    expect(findRow(table, table.keys[2 * row], table.keys[2 * row + 1])).toBe(row);
  }
  expect(rows.size).toBe(table.count);
  return rows;
}

test('put rows: rows of new keys lie behind the others, rows of known keys are overwritten', () => {
  const table = createRowTable(layout);
  putRows(
    table,
    wholeRows([
      [1, 0],
      [2, 0],
    ]),
  );
  putRows(
    table,
    wholeRows(
      [
        [3, 0],
        [2, 0],
      ],
      100,
    ),
  );
  expect([...contentOf(table)]).toEqual([
    ['1,0', [0, 0.5, 1_000, 1_000.5]],
    ['2,0', [101, 101.5, 1_101, 1_101.5]],
    ['3,0', [100, 100.5, 1_100, 1_100.5]],
  ]);
});

test('put rows: none are none', () => {
  const table = createRowTable(layout);
  putRows(table, wholeRows([]));
  expect([table.count, changedCount(table)]).toEqual([0, 0]);
});

test('put rows: are marked as changed, the others are not', () => {
  const table = createRowTable(layout);
  for (let key = 0; key < 100; key += 1) findOrAddRow(table, key, 0);
  clearChanged(table);
  putRows(
    table,
    wholeRows([
      [7, 0],
      [64, 0],
      [500, 0],
    ]),
  );
  expect(changedCount(table)).toBe(3);
  expect([...table.changed.slice(0, 4)]).toEqual([1 << 7, 0, 1, 1 << 4]);
});

const anyKeys = fc.array(fc.tuple(fc.nat(700), fc.constantFrom(0, 0xffff_ffff)), { maxLength: 900 });

test('put rows: agrees with putting one after the other, whatever is there and however much room (property)', () => {
  fc.assert(
    fc.property(anyKeys, anyKeys, anyKeys, fc.nat(2_000), (there, first, second, room) => {
      const [table, twin] = [createRowTable(layout), createRowTable(layout)];
      for (const [low, high] of there) {
        findOrAddRow(table, low, high);
        findOrAddRow(twin, low, high);
      }
      reserveRows(table, room);
      clearChanged(table);
      clearChanged(twin);
      for (const [salt, keys] of [first, second].entries()) {
        const rows = wholeRows(keys, salt * 100);
        putRows(table, rows);
        for (let i = 0; i < rows.count; i += 1) putRow(twin, rows, i);
      }
      expect([...contentOf(table)]).toEqual([...contentOf(twin)]);
      expect(changedCount(table)).toBe(changedCount(twin));
      expect(changedCount(table)).toBe(new Set([...first, ...second].map((key) => key.join())).size);
    }),
    { numRuns: 60 },
  );
}, 60_000);

test('put rows: keep their bits, also where they are no numbers', () => {
  const bits = Uint32Array.of(0x7fc1_2345, 0xffa0_0001, 0x8000_0000, 0x7f80_0000);
  const rows: WholeRows = {
    count: 1,
    keys: Uint32Array.of(9, 9),
    weights: new Float32Array(bits.buffer, 0, 2),
    state: new Float32Array(bits.buffer, 8, 2),
  };
  const table = createRowTable(layout);
  // As a new row, over a row, and one by one.
  for (const put of [() => putRows(table, rows), () => putRows(table, rows), () => putRow(table, rows, 0)]) {
    table.weights.fill(0);
    table.state.fill(0);
    put();
    const found = [table.weights, table.state].flatMap((array) => [...new Uint32Array(array.buffer, 0, 2)]);
    expect(found).toEqual([...bits]);
  }
});
