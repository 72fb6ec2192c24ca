import type { OptimizerSpec } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { tableLayouts, writeInitialRow } from '../src/table-layout.ts';
import { everyTableFile, withTables } from './model-files.ts';

const sgd: OptimizerSpec = { type: 'sgd', learningRate: 0.1 };

test('table layout: wide weight first, then the embedding; their states likewise', () => {
  const [users, bias, items] = tableLayouts(everyTableFile);
  const places = (layout = users) =>
    layout.segments.map(({ weightsAt, stateAt, dim }) => ({ weightsAt, stateAt, dim }));
  // Wide: FTRL keeps 2 floats. Embedding of 3: AdaGrad keeps 3.
  expect(places(users)).toEqual([
    { weightsAt: 0, stateAt: 0, dim: 1 },
    { weightsAt: 1, stateAt: 2, dim: 3 },
  ]);
  expect([users.dim, users.stateFloats, users.hasWide, users.embeddingDim]).toEqual([4, 5, true, 3]);
  expect(places(bias)).toEqual([{ weightsAt: 0, stateAt: 0, dim: 1 }]);
  expect([bias.dim, bias.stateFloats, bias.hasWide, bias.embeddingDim]).toEqual([1, 0, true, 0]);
  // Embedding of 2 alone: Adam keeps 2 · 2 + 2.
  expect(places(items)).toEqual([{ weightsAt: 0, stateAt: 0, dim: 2 }]);
  expect([items.dim, items.stateFloats, items.hasWide, items.embeddingDim]).toEqual([2, 6, false, 2]);
});

test('table layout: the precision of a wide weight is one float behind all others, without state, and begins at 0', () => {
  const table = { ...everyTableFile.tables[0], precision: { prior: 2 } };
  const [layout] = tableLayouts(withTables([table]));
  expect([layout.dim, layout.stateFloats, layout.precision]).toEqual([5, 5, { at: 4, prior: 2 }]);
  expect(layout.segments.at(-1)).toMatchObject({ weightsAt: 4, dim: 1 });
  const row = new Float32Array(5).fill(9);
  writeInitialRow(layout, 1, 2, row, 0);
  expect(row[4]).toBe(0);
  expect(tableLayouts(everyTableFile).map(({ precision }) => precision)).toEqual([null, null, null]);
});

test.each([
  { type: 'sgd', learningRate: 1, floats: 0 },
  { type: 'adagrad', learningRate: 1, floats: 8 },
  { type: 'rowwise-adagrad', learningRate: 1, floats: 1 },
  { type: 'adam', learningRate: 1, floats: 18 },
  { type: 'ftrl', alpha: 1, floats: 16 },
  { type: 'newton', floats: 8 },
] as const)(
  'table layout: $type keeps $floats state floats for an embedding of 8',
  ({ floats, ...optimizer }) => {
    const [layout] = tableLayouts(withTables([{ name: 'items', embedding: { dim: 8, optimizer } }]));
    expect([layout.stateFloats, layout.needsCurvature]).toEqual([floats, optimizer.type === 'newton']);
  },
);

test('table layout: needs curvature when either part does', () => {
  const newton: OptimizerSpec = { type: 'newton' };
  const [wide, embedding, neither] = tableLayouts(
    withTables([
      { name: 'a', wide: { optimizer: newton }, embedding: { dim: 1, optimizer: sgd } },
      { name: 'b', wide: { optimizer: sgd }, embedding: { dim: 1, optimizer: newton } },
      { name: 'c', wide: { optimizer: sgd }, embedding: { dim: 1, optimizer: sgd } },
    ]),
  );
  expect([wide.needsCurvature, embedding.needsCurvature, neither.needsCurvature]).toEqual([
    true,
    true,
    false,
  ]);
});

test('table layout: ids and seeds are pinned, and tell tables and models apart', () => {
  // Pull frames carry the id, first values come from the seed: both are for ever.
  const layouts = tableLayouts(everyTableFile);
  expect(layouts.map(({ name, tableId }) => [name, tableId])).toEqual([
    ['users', 3_684_701_771],
    ['bias', 2_825_651_965],
    ['items', 1_472_805_642],
  ]);
  expect(layouts.map(({ seed }) => seed)).toEqual([2_370_615_769, 3_347_900_197, 2_568_047_810]);
  const other = tableLayouts({ ...everyTableFile, name: 'feed', seed: 8 });
  const ids = [...layouts, ...other].map(({ tableId }) => tableId);
  const seeds = [...layouts, ...other].map(({ seed }) => seed);
  expect([new Set(ids).size, new Set(seeds).size]).toEqual([6, 6]);
});

test('table layout: first weights are zero for wide and within 0.01 for embeddings unless told otherwise', () => {
  const [users, , items] = tableLayouts(everyTableFile);
  const row = new Float32Array(6).fill(9);
  writeInitialRow(users, 1, 2, row, 1);
  expect([row[0], row[1], row[5]]).toEqual([9, 0, 9]);
  const embedding = [...row.subarray(2, 5)];
  for (const value of embedding) expect(Math.abs(value)).toBeLessThanOrEqual(Math.fround(0.01));
  expect(new Set(embedding).size).toBe(3);
  // The same key begins elsewhere in another table.
  const item = new Float32Array(2);
  writeInitialRow(items, 1, 2, item, 0);
  expect(embedding).not.toContain(item[0]);
  const [constant] = tableLayouts(
    withTables([{ name: 'a', wide: { optimizer: sgd, initializer: { type: 'constant', value: 0.5 } } }]),
  );
  writeInitialRow(constant, 1, 2, row, 0);
  expect(row[0]).toBe(0.5);
});
