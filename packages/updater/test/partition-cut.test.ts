import { partitionOf } from '@millrace/core';
import {
  createBatchSpace,
  createFeatureEncoder,
  type FeaturePlan,
  type SparseBatch,
  tablesToPull,
} from '@millrace/model';
import type { ModelFile } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { cutByPartition } from '../src/partition-cut.ts';
import { file, openSmallNet } from './small-model.ts';

const twoTables = {
  ...file,
  tables: [
    ...file.tables,
    { name: 'vectors', embedding: { dim: 2, optimizer: { type: 'newton' as const } } },
  ],
  fields: [
    ...file.fields,
    { name: 'seen', type: 'multi' as const, scope: 'item' as const, table: 'vectors' },
  ],
};

/** A batch of `items`, with every key's gradient set to its place and its table. */
async function cut(items: readonly object[], partitions: number, of: ModelFile = twoTables) {
  const { plan } = await openSmallNet(of);
  const space = createBatchSpace(plan);
  const encoder = createFeatureEncoder(plan);
  encoder.beginRequest({}, {});
  items.forEach((item, i) => {
    encoder.addItem(space.batch, item as never, i);
  });
  const sums = tablesToPull(space).map(({ layout, count }, t) => {
    const floats = Float32Array.from({ length: count * layout.dim }, (_, i) => 1_000 * (t + 1) + i);
    return { gradients: floats, curvature: layout.needsCurvature ? floats.map((g) => -g) : null };
  });
  return { plan, batch: space.batch, cuts: cutByPartition(plan, space.batch, sums, partitions) };
}

function keysOf(batch: SparseBatch, plan: FeaturePlan, t: number) {
  const { keys, unique } = batch.tables[t];
  const { dim } = plan.tables[t];
  return Array.from({ length: unique }, (_, i) => ({
    low: keys[2 * i],
    high: keys[2 * i + 1],
    gradients: Array.from({ length: dim }, (_x, d) => 1_000 * (t + 1) + i * dim + d),
  }));
}

test('partition cut: every key is in the one section of its table and partition, with its own gradients', async () => {
  const items = Array.from({ length: 40 }, (_, i) => ({ ad: `a${i % 30}`, seen: `x${i}|y${i % 7}` }));
  const { plan, batch, cuts } = await cut(items, 7);
  expect(cuts.map(({ partition }) => partition)).toEqual([0, 1, 2, 3, 4, 5, 6]);
  for (let t = 0; t < 2; t += 1) {
    const wanted = keysOf(batch, plan, t);
    let found = 0;
    for (const { partition, sections } of cuts) {
      const mine = wanted.filter(({ low, high }) => partitionOf(low, high, 7) === partition);
      const section = sections.find(({ table }) => table === t);
      expect(section?.count ?? 0).toBe(mine.length);
      if (!section) continue;
      found += section.count;
      expect(section.dim).toBe(plan.tables[t].dim);
      expect(Array.from(section.keys)).toEqual(mine.flatMap(({ low, high }) => [low, high]));
      expect(Array.from(section.gradients)).toEqual(mine.flatMap(({ gradients }) => gradients));
      expect(section.curvature && Array.from(section.curvature)).toEqual(
        t === 0 ? null : mine.flatMap(({ gradients }) => gradients.map((g) => -g)),
      );
    }
    expect(found).toBe(batch.tables[t].unique);
  }
});

test('partition cut: sections stand in the order of the tables, and partitions without keys are left out', async () => {
  const { cuts } = await cut([{ ad: 'a', seen: 'x' }], 1);
  expect(cuts.map(({ sections }) => sections.map(({ table, count }) => [table, count]))).toEqual([
    [
      [0, 1],
      [1, 1],
    ],
  ]);
  expect((await cut([{ ad: 'a' }], 4_096)).cuts.length).toBe(1);
  expect((await cut([{}], 3)).cuts).toEqual([]);
});

test('partition cut: tells in how many examples a key stands, where the table asks for it', async () => {
  const [ads, vectors] = twoTables.tables;
  const counting = { ...twoTables, tables: [ads, { ...vectors, admission: { type: 'count', count: 3 } }] };
  // x stands in three examples, twice in one of them; y in one.
  const items = [{ seen: 'x|x' }, { seen: 'x|y' }, { ad: 'a' }, { seen: 'x' }];
  const { batch, cuts } = await cut(items, 1, counting as ModelFile);
  const sections = cuts[0].sections;
  expect(sections.map(({ occurrences }) => occurrences)).toEqual([null, Uint32Array.of(3, 1)]);
  expect(batch.tables[1].occurrences).toBe(5);
});
