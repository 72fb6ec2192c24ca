import { expect, test } from 'vitest';
import { rowTarget } from '../src/copy-rows.ts';
import { partitionOf } from '../src/key-hash.ts';
import { pullFew } from '../src/pull-few.ts';
import { pullRowsPlainly } from '../src/pull-kernel.ts';
import { createRowTable, findOrAddRow } from '../src/row-table.ts';
import { embeddingLayout } from './model-files.ts';

const partitions = 16;

test.each([1, 4, 9, 16])('pull few: keys of rows of %i floats, known or not, equal the plain twin', (dim) => {
  const tables = Array.from({ length: partitions }, () => createRowTable(embeddingLayout(dim)));
  // Enough keys in a partition that some are not at their home slot.
  for (let n = 0; n < 1_000; n += 1) {
    const table = tables[partitionOf(n, 1, partitions)];
    const row = findOrAddRow(table, n, 1);
    for (let d = 0; d < dim; d += 1) table.weights[row * dim + d] = n + d / 16;
  }
  const counts = tables.map(({ count }) => count);
  const numbers = Array.from({ length: 300 }, (_, i) => (i * 7) % 1_200);
  const keys = Uint32Array.from(numbers.flatMap((n) => [n, 1]));
  const ofKey = Uint16Array.from(numbers, (n) => partitionOf(n, 1, partitions));
  const plain = new Float32Array(300 * dim);
  pullRowsPlainly(tables, keys, 300, plain);
  for (const at of [0, 1]) {
    const out = new Float32Array(at + 300 * dim);
    pullFew(tables, ofKey, keys, 300, new Int32Array(300), rowTarget(out, at, 300, dim));
    expect(out.slice(at)).toEqual(plain);
  }
  expect(tables.map(({ count }) => count)).toEqual(counts);
});
