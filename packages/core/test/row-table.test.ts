import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  changedCount,
  clearChanged,
  createRowTable,
  findOrAddRow,
  findRow,
  lookupRows,
  markChanged,
  reserveRows,
  rowsReserved,
  rowTableBytes,
} from '../src/row-table.ts';
import { tableLayouts, writeInitialRow } from '../src/table-layout.ts';
import { embeddingLayout, everyTableFile } from './model-files.ts';

const layout = embeddingLayout(2, { type: 'adagrad', learningRate: 0.1, initialAccumulator: 0.5 });

/** Words of few values, so that keys repeat and share halves; (0, 0) and the largest among them. */
const fewWords = fc.constantFrom(0, 1, 2, 3, 0x10000, 0x8000_0000, 0xffff_fffe, 0xffff_ffff);
const anyKey = fc.oneof(
  fc.tuple(fewWords, fewWords),
  fc.tuple(fc.nat(2 ** 32 - 1), fc.nat(2 ** 32 - 1)),
  // Runs of neighbours.
  fc.tuple(fc.nat(40), fc.constant(0)),
);

test('row table: agrees with a Map under random inserts and lookups (property)', () => {
  const anyStep = fc.record({ add: fc.boolean(), key: anyKey });
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 300 }), (steps) => {
      const table = createRowTable(layout);
      const twin = new Map<string, number>();
      for (const { add, key } of steps) {
        const [low, high] = key;
        const name = `${low},${high}`;
        if (add && !twin.has(name)) twin.set(name, twin.size);
        const found = add ? findOrAddRow(table, low, high) : findRow(table, low, high);
        if (found !== (twin.get(name) ?? -1)) expect.fail(`${name}: row ${found}, not ${twin.get(name)}`);
      }
      expect(table.count).toBe(twin.size);
      const keys = Uint32Array.from(steps.flatMap(({ key }) => key));
      const rows = new Int32Array(steps.length + 1).fill(-7);
      lookupRows(table, keys, steps.length, rows);
      expect([...rows]).toEqual([...steps.map(({ key }) => twin.get(key.join(',')) ?? -1), -7]);
      // Keys stand in order of creation.
      const order = [...table.keys.subarray(0, 2 * table.count)];
      expect(order).toEqual([...twin.keys()].flatMap((name) => name.split(',').map(Number)));
    }),
  );
});

test('row table: the key (0, 0) is a key like any other', () => {
  const table = createRowTable(layout);
  const rows = new Int32Array(1);
  lookupRows(table, new Uint32Array(2), 1, rows);
  expect([findRow(table, 0, 0), rows[0]]).toEqual([-1, -1]);
  findOrAddRow(table, 5, 5);
  expect(findOrAddRow(table, 0, 0)).toBe(1);
  lookupRows(table, new Uint32Array(2), 1, rows);
  expect([findRow(table, 0, 0), rows[0], table.count]).toEqual([1, 1, 2]);
});

test('row table: rows keep index, weights and state while the table grows a thousandfold', () => {
  const table = createRowTable(layout);
  const count = 20_000;
  for (let i = 0; i < count; i += 1) {
    const row = findOrAddRow(table, Math.imul(i, 0x9e3779b1) >>> 0, i);
    if (row !== i) expect.fail(`row ${row} for the key of place ${i}`);
    table.weights[2 * row] = i;
    table.state[2 * row + 1] = -i;
  }
  for (let i = 0; i < count; i += 1) {
    const row = findRow(table, Math.imul(i, 0x9e3779b1) >>> 0, i);
    if (row !== i || table.weights[2 * i] !== i || table.state[2 * i + 1] !== -i) expect.fail(`row ${i}`);
  }
  expect(table.count).toBe(count);
  // A load above 0.6 would make chains long.
  expect(count / (table.mask + 1)).toBeLessThanOrEqual(0.6);
  expect(table.slots.length).toBe(4 * (table.mask + 1));
});

test('row table: keys that are no hashes do not cluster', () => {
  // All of one low word, and all of one high word: a chain is never longer than a hundred.
  for (const keyOf of [(i: number) => [7, i] as const, (i: number) => [i << 12, 0] as const]) {
    const table = createRowTable(layout);
    for (let i = 0; i < 20_000; i += 1) findOrAddRow(table, keyOf(i)[0] >>> 0, keyOf(i)[1]);
    let longest = 0;
    let chain = 0;
    for (let slot = 0; slot <= table.mask; slot += 1) {
      chain = table.slots[4 * slot + 2] === 0 ? 0 : chain + 1;
      longest = Math.max(longest, chain);
    }
    expect(longest).toBeLessThan(100);
  }
});

test('row table: a new row has its first weights and its optimizer state, in every segment', () => {
  for (const tableLayout of tableLayouts(everyTableFile)) {
    const table = createRowTable(tableLayout);
    const { dim, stateFloats } = tableLayout;
    findOrAddRow(table, 1, 2);
    findOrAddRow(table, 3, 4);
    const wanted = new Float32Array(dim);
    writeInitialRow(tableLayout, 3, 4, wanted, 0);
    expect(table.weights.slice(dim, 2 * dim)).toEqual(wanted);
    const state = new Float32Array(stateFloats);
    for (const { optimizer, weightsAt, stateAt, dim: segmentDim } of tableLayout.segments) {
      optimizer.start({ w: wanted, wAt: weightsAt, s: state, sAt: stateAt, dim: segmentDim });
    }
    expect(table.state.slice(stateFloats, 2 * stateFloats)).toEqual(state);
  }
});

test('row table: tells the bytes of its arenas', () => {
  // 16 rows: 32 slots of 16 bytes, 16 keys of 8, 16 rows of 2 weights and 2 state floats of 4 bytes, one word of marks.
  expect(rowTableBytes(createRowTable(layout))).toBe(32 * 16 + 16 * 8 + 16 * 2 * 4 + 16 * 2 * 4 + 4);
});

test('row table: change marks: added rows are marked, cleared marks stay clear while the table grows (property)', () => {
  const anyAction = fc.oneof(
    fc.record({ kind: fc.constant('add' as const), key: fc.nat(200) }),
    fc.record({ kind: fc.constant('mark' as const), key: fc.nat(200) }),
    fc.record({ kind: fc.constant('clear' as const), key: fc.constant(0) }),
  );
  fc.assert(
    fc.property(fc.array(anyAction, { maxLength: 250 }), (actions) => {
      const table = createRowTable(layout);
      const marked = new Set<number>();
      for (const { kind, key } of actions) {
        const known = findRow(table, key, 1);
        if (kind === 'clear') {
          clearChanged(table);
          marked.clear();
        } else if (kind === 'add') {
          const row = findOrAddRow(table, key, 1);
          if (known < 0) marked.add(row);
        } else if (known >= 0) {
          markChanged(table, known);
          marked.add(known);
        }
        expect(changedCount(table)).toBe(marked.size);
      }
      const found = Array.from({ length: table.count }, (_, row) => row).filter(
        (row) => (table.changed[row >>> 5] & (1 << (row & 31))) !== 0,
      );
      expect(new Set(found)).toEqual(marked);
    }),
  );
});

test('row table: change marks: whole words of rows are counted', () => {
  const table = createRowTable(layout);
  for (let key = 0; key < 1_000; key += 1) findOrAddRow(table, key, 0);
  expect([changedCount(table), table.changed[0], table.changed[31]]).toEqual([1_000, 0xffff_ffff, 0xff]);
});

test('row table: reserved room: nothing grows until it is used up', () => {
  const table = createRowTable(layout);
  findOrAddRow(table, 7, 7);
  reserveRows(table, 5_000);
  expect(rowsReserved(table)).toBeGreaterThanOrEqual(5_000);
  const { slots, keys, weights, state, changed } = table;
  for (let key = 1; key < 5_000; key += 1) findOrAddRow(table, key, 0);
  expect([findRow(table, 7, 7), table.count]).toEqual([0, 5_000]);
  for (const [now, then] of [
    [table.slots, slots],
    [table.keys, keys],
    [table.weights, weights],
    [table.state, state],
    [table.changed, changed],
  ])
    expect(now === then).toBe(true);
  // Less than there is changes nothing.
  reserveRows(table, 3);
  expect(table.slots === slots).toBe(true);
});

test('row table: reserved room is that of a table that grew', () => {
  const [grown, reserved] = [createRowTable(layout), createRowTable(layout)];
  for (let key = 0; key < 700; key += 1) findOrAddRow(grown, key, 0);
  reserveRows(reserved, 700);
  expect(rowTableBytes(reserved)).toBe(rowTableBytes(grown));
});
