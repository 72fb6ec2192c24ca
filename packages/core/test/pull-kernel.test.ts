import fc from 'fast-check';
import { expect, test } from 'vitest';
import { partitionOf } from '../src/key-hash.ts';
import { pullRows, pullRowsPlainly } from '../src/pull-kernel.ts';
import { createRowTable, findOrAddRow, type RowTable } from '../src/row-table.ts';
import type { TableLayout } from '../src/table-layout.ts';
import { embeddingLayout } from './model-files.ts';

type Key = readonly [number, number];

/** Tables of `partitions` with rows for `known`, each weight its own; null where `absent` says so. */
function tablesOf(options: {
  layout: TableLayout;
  partitions: number;
  known: readonly Key[];
  absent: ReadonlySet<number>;
}): (RowTable | null)[] {
  const { layout, partitions, known, absent } = options;
  const tables = Array.from({ length: partitions }, () => createRowTable(layout));
  known.forEach(([low, high], n) => {
    const table = tables[partitionOf(low, high, partitions)];
    const row = findOrAddRow(table, low, high);
    for (let d = 0; d < layout.dim; d += 1) table.weights[row * layout.dim + d] = n + d / 16;
  });
  return tables.map((table, partition) => (absent.has(partition) ? null : table));
}

const anyKey: fc.Arbitrary<Key> = fc.tuple(fc.nat(60), fc.constantFrom(0, 1, 0xffff_ffff));
const anyPull = fc.record({
  dim: fc.integer({ min: 1, max: 5 }),
  partitions: fc.integer({ min: 1, max: 64 }),
  known: fc.array(anyKey, { maxLength: 60 }),
  // Half of them unknown, some asked for twice.
  asked: fc.array(anyKey, { maxLength: 80 }),
  gone: fc.array(fc.nat(63), { maxLength: 2 }),
  outAt: fc.nat(5),
});

test('pull kernel: equals the plain twin, creates nothing, and names the partitions met (property)', () => {
  fc.assert(
    fc.property(anyPull, ({ dim, partitions, known, asked, gone, outAt }) => {
      const layout = embeddingLayout(dim);
      const absent = new Set(gone);
      const tables = tablesOf({ layout, partitions, known, absent });
      const counts = tables.map((table) => table?.count);
      const keys = Uint32Array.from(asked.flat());
      const met = [...new Set(asked.map(([low, high]) => partitionOf(low, high, partitions)))].sort(
        (a, b) => a - b,
      );
      const touched = new Uint16Array(partitions);
      const out = new Float32Array(outAt + dim * asked.length + 3).fill(-99);
      const result = pullRows(tables, keys, asked.length, out, outAt, touched);
      const plain = new Float32Array(dim * asked.length);
      const isWhole = pullRowsPlainly(tables, keys, asked.length, plain);

      const lacking = met.filter((partition) => absent.has(partition));
      expect(isWhole).toBe(lacking.length === 0);
      if (isWhole) {
        expect(result).toBe(met.length);
        expect([...touched.subarray(0, result)]).toEqual(met);
        expect(out.slice(outAt, outAt + plain.length)).toEqual(plain);
      } else expect(lacking).toContain(-1 - result);
      expect([...out.subarray(0, outAt), ...out.subarray(outAt + plain.length)]).toEqual(
        new Array(outAt + 3).fill(-99),
      );
      expect(tables.map((table) => table?.count)).toEqual(counts);
    }),
    { numRuns: 100 },
  );
});

test.each([1, 64, 4_096])(
  'pull kernel: pulls from %i partitions equal the plain twin, small ones after large ones',
  (partitions) => {
    const layout = embeddingLayout(4);
    const known = Array.from({ length: 3_000 }, (_, i): Key => [Math.imul(i, 0x9e3779b1) >>> 0, i]);
    const tables = tablesOf({ layout, partitions, known, absent: new Set() });
    for (const count of [10, 5_000, 1, 0, 2_000]) {
      const keys = new Uint32Array(2 * count);
      for (let i = 0; i < count; i += 1) {
        keys[2 * i] = Math.imul(i % 4_000, 0x9e3779b1) >>> 0;
        keys[2 * i + 1] = i % 4_000;
      }
      const out = new Float32Array(4 * count);
      const plain = new Float32Array(4 * count);
      pullRows(tables, keys, count, out, 0, new Uint16Array(partitions));
      pullRowsPlainly(tables, keys, count, plain);
      expect(out).toEqual(plain);
    }
  },
);

test('pull kernel: rows of every length at every alignment equal the plain twin', () => {
  const known = Array.from({ length: 20 }, (_, i): Key => [i, 1]);
  const keys = Uint32Array.from([3, 5, 50, 8, 19, 0, 51, 3].flatMap((low) => [low, 1]));
  for (let dim = 1; dim <= 40; dim += 1) {
    const tables = tablesOf({ layout: embeddingLayout(dim), partitions: 3, known, absent: new Set() });
    const plain = new Float32Array(8 * dim);
    pullRowsPlainly(tables, keys, 8, plain);
    for (let outAt = 0; outAt < 4; outAt += 1) {
      const out = new Float32Array(outAt + 8 * dim).fill(-99);
      pullRows(tables, keys, 8, out, outAt, new Uint16Array(3));
      if (!Buffer.from(out.slice(outAt).buffer).equals(Buffer.from(plain.buffer)))
        expect.fail(`dim ${dim} at ${outAt}`);
    }
  }
});

test('pull kernel: keys come in the order asked for, known or not', () => {
  const layout = embeddingLayout(1, undefined, { type: 'constant', value: 0.5 });
  const tables = tablesOf({
    layout,
    partitions: 8,
    known: [
      [1, 0],
      [2, 0],
    ],
    absent: new Set(),
  });
  const out = new Float32Array(4);
  pullRows(tables, Uint32Array.of(2, 0, 9, 9, 1, 0, 2, 0), 4, out, 0, new Uint16Array(8));
  // The rows of tablesOf hold their own number; a key without a row reads its first value.
  expect([...out]).toEqual([1, 0.5, 0, 1]);
});
