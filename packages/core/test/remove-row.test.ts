import fc from 'fast-check';
import { expect, test } from 'vitest';
import { removeKey, removeRow, replaceKey, shrinkRows } from '../src/remove-row.ts';
import {
  changedCount,
  changesOf,
  clearChanged,
  createRowTable,
  findOrAddRow,
  findRow,
  type RowTable,
  rowTableBytes,
} from '../src/row-table.ts';
import { embeddingLayout } from './model-files.ts';

const layout = embeddingLayout(2, { type: 'adagrad', learningRate: 0.1 });

/** Every key of the table by its text, with its weights and state and whether it is marked. */
function contentsOf(table: RowTable): Map<string, unknown> {
  const { keys, weights, state, changed } = table;
  const entries = Array.from({ length: table.count }, (_, row): [string, unknown] => [
    `${keys[2 * row]},${keys[2 * row + 1]}`,
    [weights[2 * row], weights[2 * row + 1], state[2 * row], (changed[row >>> 5] >>> (row & 31)) & 1],
  ]);
  return new Map(entries);
}

const anyKey = fc.tuple(fc.constantFrom(0, 1, 0x10000, 0xffff_ffff), fc.nat(24));
const anyStep = fc.record({
  kind: fc.constantFrom('add', 'add', 'remove', 'clear', 'shrink'),
  key: anyKey,
  value: fc.nat(1_000),
});

test('remove row: agrees with a Map under random adds, removals, marks and shrinks (property)', () => {
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 250 }), (steps) => {
      const table = createRowTable(layout);
      const twin = new Map<string, [number, number, number, number]>();
      const gone = new Set<string>();
      for (const { kind, key, value } of steps) {
        const name = key.join(',');
        if (kind === 'add') {
          const row = findOrAddRow(table, key[0], key[1]);
          table.weights.set([value, -value], 2 * row);
          table.state[2 * row] = value / 2;
          const marked = twin.get(name)?.[3] ?? 1;
          twin.set(name, [value, -value, value / 2, marked]);
        } else if (kind === 'remove') {
          removeKey(table, key[0], key[1]);
          if (twin.delete(name)) gone.add(name);
        } else if (kind === 'shrink') shrinkRows(table);
        else {
          clearChanged(table);
          gone.clear();
          for (const row of twin.values()) row[3] = 0;
        }
      }
      expect(contentsOf(table)).toEqual(twin);
      const names = Array.from({ length: table.goneCount }, (_, i) =>
        table.gone.slice(2 * i, 2 * i + 2).join(','),
      );
      expect(new Set(names)).toEqual(gone);
      expect(changedCount(table)).toBe([...twin.values()].filter(([, , , marked]) => marked).length);
      for (const { key } of steps) expect(findRow(table, key[0], key[1]) >= 0).toBe(twin.has(key.join(',')));
    }),
    { numRuns: 200 },
  );
});

test('remove row: the index stays whole through ten thousand rows that come and go', () => {
  const table = createRowTable(layout);
  const key = (i: number) => [Math.imul(i, 0x9e3779b1) >>> 0, i >>> 3] as const;
  for (let i = 0; i < 20_000; i += 1) findOrAddRow(table, ...key(i));
  for (let i = 0; i < 20_000; i += 2) removeKey(table, ...key(i));
  for (let i = 0; i < 20_000; i += 1) {
    const row = findRow(table, ...key(i));
    if (row >= 0 !== (i % 2 === 1)) expect.fail(`key ${i}: row ${row}`);
    if (row >= 0 && table.keys[2 * row] !== key(i)[0]) expect.fail(`key ${i}: another row`);
  }
  expect(table.count).toBe(10_000);
});

test('remove row: a table that has become small gives its room back', () => {
  const table = createRowTable(layout);
  for (let i = 0; i < 5_000; i += 1) findOrAddRow(table, i, 1);
  const full = rowTableBytes(table);
  clearChanged(table);
  for (let row = 4_999; row >= 200; row -= 1) removeRow(table, row);
  shrinkRows(table);
  expect(rowTableBytes(table) - table.gone.byteLength).toBeLessThan(full / 8);
  for (let i = 0; i < 5_000; i += 1) expect(findRow(table, i, 1)).toBe(i < 200 ? i : -1);
  expect(changedCount(table)).toBe(0);
});

test('remove row: keys that went are noted while a delta may be smaller than a full snapshot, then no more', () => {
  const table = createRowTable(layout);
  for (let i = 0; i < 3_000; i += 1) findOrAddRow(table, i, 1);
  clearChanged(table);
  for (let i = 0; i < 1_024; i += 1) removeKey(table, i, 1);
  expect([table.goneCount, changesOf(table)]).toEqual([1_024, 1_024]);
  for (let i = 1_024; i < 2_900; i += 1) removeKey(table, i, 1);
  expect([table.goneCount, changesOf(table)]).toEqual([-1, Number.POSITIVE_INFINITY]);
  clearChanged(table);
  expect([table.goneCount, changesOf(table)]).toEqual([0, 0]);
});

test('replace key: every key is found at its row and no other, under random replacements (property)', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(19), anyKey), { maxLength: 200 }), (steps) => {
      const table = createRowTable(layout);
      const keyOf = Array.from({ length: 20 }, (_, row): [number, number] => [row, 0x9999]);
      for (const [low, high] of keyOf) findOrAddRow(table, low, high);
      for (const [row, [low, high]] of steps) {
        if (findRow(table, low, high) >= 0) continue;
        const [oldLow, oldHigh] = keyOf[row];
        replaceKey(table, row, low, high);
        keyOf[row] = [low, high];
        expect(findRow(table, oldLow, oldHigh)).toBe(-1);
      }
      for (const [row, [low, high]] of keyOf.entries()) expect(findRow(table, low, high)).toBe(row);
      expect([table.count, table.goneCount]).toEqual([20, 0]);
    }),
  );
});
