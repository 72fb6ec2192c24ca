import { expect, test } from 'vitest';
import { planOf } from './encoded.ts';
import { exampleModel } from './example-model.ts';
import { embeddingTable, smallModel, wideTable } from './small-model.ts';

test('feature plan: fields with a table become keys, with the table, slot and kind that the file says', () => {
  const { keyFields } = planOf(exampleModel());
  expect(keyFields.map(({ name, table, slot, kind, scope }) => [name, table, slot, kind, scope])).toEqual([
    ['user', 0, 0, 'single', 'user'],
    ['product', 0, 8, 'single', 'item'],
    ['tags', 1, 16, 'list', 'item'],
    ['history', 0, 24, 'list', 'user'],
    ['age', 0, 32, 'bucket', 'user'],
    ['rating', 1, 40, 'weighted', 'item'],
  ]);
});

test('feature plan: numbers go to the layers unless they are bucketed, in file order', () => {
  expect(planOf(exampleModel()).denseInputs.map(({ name, scope }) => [name, scope])).toEqual([
    ['price', 'item'],
    ['rating', 'item'],
    ['stock', 'context'],
  ]);
  expect(planOf(exampleModel((f) => (f.net = 'fm'))).denseInputs).toEqual([]);
});

test('feature plan: lists sum what a | separates, sequences average the newest 50', () => {
  const { keyFields } = planOf(
    smallModel({
      fields: [
        { name: 'tags', type: 'multi', table: 'wide' },
        { name: 'seen', type: 'sequence', table: 'wide' },
      ],
    }),
  );
  expect(
    keyFields.map(({ scope, separator, pooling, lengthMax, keepsNewest }) => [
      scope,
      separator,
      pooling,
      lengthMax,
      keepsNewest,
    ]),
  ).toEqual([
    ['context', '|', 'sum', 1_000, false],
    ['context', '|', 'mean', 50, true],
  ]);
});

test('feature plan: each field has a key space of its own, another one for another seed', () => {
  const fields = [
    { name: 'a', type: 'sparse', table: 'wide' },
    { name: 'b', type: 'sparse', table: 'wide' },
    { name: 'c', type: 'sparse', table: 'wide', sharesKeysOf: 'a' },
  ] as const;
  const spaces = (seed: number) =>
    planOf(smallModel({ fields, seed })).keyFields.map(({ seedLow, seedHigh }) => `${seedLow} ${seedHigh}`);
  const [a, b, c] = spaces(7);
  expect(c).toBe(a);
  expect(b).not.toBe(a);
  expect(spaces(7)).toEqual([a, b, c]);
  expect(spaces(8)).not.toContain(a);
});

test('feature plan: crosses point at the fields they cross', () => {
  const { crosses } = planOf(exampleModel());
  // product is key field 1, age key field 4; table "pairs" is the third and has no embedding.
  expect(crosses.map(({ name, table, slot, fields }) => [name, table, slot, fields])).toEqual([
    ['user-age', 2, -1, [1, 4]],
  ]);
});

test('feature plan: the bias lives in the first table with a wide weight, unless the file or the net has none', () => {
  const field = { name: 'a', type: 'sparse', table: 'second' } as const;
  const bare = { name: 'first', embedding: { dim: 2, optimizer: { type: 'sgd', learningRate: 1 } } } as const;
  const tables = [bare, { ...wideTable, name: 'second' }, { ...wideTable, name: 'third' }];
  expect(planOf(smallModel({ fields: [field], tables, bias: true })).bias?.table).toBe(1);
  expect(planOf(smallModel({ fields: [field], tables, bias: false })).bias).toBeNull();
  const net = { wide: false, layers: [{ units: 2 }] };
  const layers = smallModel({
    fields: [{ ...field, table: 'e' }],
    tables: [embeddingTable('e', 2)],
    net,
    bias: true,
  });
  expect(planOf(layers).bias).toBeNull();
});

test('feature plan: a linear net reads no slot even of tables that have embeddings', () => {
  const { keyFields, embeddingFloats } = planOf(
    smallModel({ fields: [{ name: 'a', type: 'sparse', table: 'e' }], tables: [embeddingTable('e', 4)] }),
  );
  expect([keyFields[0].slot, embeddingFloats]).toEqual([-1, 0]);
});
