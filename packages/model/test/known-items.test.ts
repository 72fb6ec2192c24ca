import type { Features, FieldSpec, ModelFile } from '@millrace/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compileNet } from '../src/compile-model.ts';
import { createFeatureEncoder, type FeatureEncoder } from '../src/feature-encoder.ts';
import { compileFeatures, type FeaturePlan } from '../src/feature-plan.ts';
import { createKnownItems, passedOver, unknown } from '../src/known-items.ts';
import { createSparseBatch, type FieldKeys } from '../src/sparse-batch.ts';
import { columnsOf } from './columns.ts';
import { smallModel } from './small-model.ts';

const sgd = { type: 'sgd', learningRate: 1 } as const;
const tables = ['ids', 'words'].map((name) => ({
  name,
  wide: { optimizer: sgd },
  embedding: { dim: 2, optimizer: sgd },
}));
const shared: readonly FieldSpec[] = [
  { name: 'who', type: 'sparse', scope: 'user', table: 'ids' },
  { name: 'hour', type: 'sparse', scope: 'context', table: 'words' },
];
const own: readonly FieldSpec[] = [
  { name: 'ad', type: 'sparse', scope: 'item', table: 'ids' },
  { name: 'genres', type: 'multi', scope: 'item', table: 'words', pooling: 'mean' },
  { name: 'brand', type: 'sparse', scope: 'item', table: 'ids', sharesKeysOf: 'who', buckets: 3 },
];
const layers = { wide: true, layers: [{ units: 2 }] } as const;
/** In the first an item adds its own keys and nothing else; the others have each something that goes beside them. */
const models: readonly ModelFile[] = [
  smallModel({ tables, fields: [...shared, ...own], net: layers }),
  smallModel({
    tables,
    fields: [...shared, ...own],
    net: layers,
    crosses: [{ name: 'c', fields: ['who', 'ad'], table: 'ids' }],
  }),
  smallModel({
    tables,
    fields: [...shared, ...own, { name: 'size', type: 'dense', scope: 'item' }],
    net: layers,
  }),
  smallModel({
    tables,
    fields: [...shared, ...own, { name: 'age', type: 'dense', scope: 'user' }],
    net: layers,
  }),
];
const plans = models.map((file) => compileFeatures(file, compileNet(file), 100));

type Item = Readonly<Record<string, string | number | readonly string[]>>;

interface Request {
  readonly who: string;
  readonly items: readonly Item[];
}

/** All that a batch has of some requests. */
function encoded(
  plan: FeaturePlan,
  encoder: FeatureEncoder,
  requests: readonly Request[],
  asColumns: boolean,
) {
  const batch = createSparseBatch(plan);
  for (const { who, items } of requests) {
    encoder.beginRequest({ who, age: 3 }, { hour: '7' });
    encoder.addItems(batch, asColumns ? columnsOf(items) : (items as readonly Features[]));
  }
  const { rows, starts, requests: count, dense } = batch;
  return {
    rows,
    starts: starts.slice(0, count),
    dense: dense.slice(0, rows * plan.denseInputs.length),
    tables: batch.tables.map(({ keys, unique, occurrences, keyOf, exampleOf, slotOf, xOf, sharedOf }) => ({
      keys: keys.slice(0, 2 * unique),
      occurrences: [keyOf, exampleOf, slotOf, xOf, sharedOf].map((of) => of.slice(0, occurrences)),
    })),
  };
}

const word = fc.constantFrom('', 'a', 'b', 'ab', 'é', 'x'.repeat(600));
const item: fc.Arbitrary<Item> = fc.record(
  {
    ad: fc.oneof(fc.nat(9), word),
    genres: fc.oneof(fc.constantFrom('', 'a|b', 'b|a', 'a|b|c'), fc.array(word, { maxLength: 3 })),
    brand: word,
    size: fc.nat(3),
    other: fc.nat(2),
  },
  { requiredKeys: [] },
);
const request = fc.record({
  who: fc.constantFrom('eve', 'a'),
  items: fc.array(item, { minLength: 1, maxLength: 8 }),
});

test('known items: what is recalled is what a request with the same items would be encoded to, to the bit', () => {
  fc.assert(
    fc.property(fc.array(fc.array(request, { minLength: 1, maxLength: 3 }), { maxLength: 6 }), (batches) => {
      for (const plan of plans) {
        const [remembering, plain] = [createFeatureEncoder(plan), createFeatureEncoder(plan)];
        // Twice, so that all of it is known once.
        for (const requests of [...batches, ...batches])
          expect(encoded(plan, remembering, requests, true)).toEqual(encoded(plan, plain, requests, false));
      }
    }),
    { numRuns: 200 },
  );
});

test('known items: more of them than are kept, and longer ones, are encoded as ever', () => {
  const [plan] = plans;
  const [remembering, plain] = [createFeatureEncoder(plan), createFeatureEncoder(plan)];
  const long = 'y'.repeat(900);
  for (let round = 0; round < 40; round += 1) {
    // Of each request half is in all of them, which keeps it worth looking.
    const items = Array.from({ length: 400 }, (_, i) => ({
      ad: i % 2 === 0 ? i : 1_000 * round + i,
      brand: `${long.slice(i % 3)}${i}`,
    }));
    const requests = [{ who: 'eve', items }];
    expect(encoded(plan, remembering, requests, true)).toEqual(encoded(plan, plain, requests, false));
  }
});

/** A memory of items with one field, the first of two. */
function oneField() {
  const keys: FieldKeys = {
    words: Uint32Array.of(0, 0, 5, 0xffff_ffff),
    starts: Int32Array.of(1, 0),
    counts: Int32Array.of(1, 0),
    xs: Float32Array.of(0.5, 0),
    slots: Int32Array.of(-1, -1),
    steps: Int32Array.of(0, 0),
    shared: Uint8Array.of(0, 1),
  };
  return { keys, known: createKnownItems(Int32Array.of(0), keys) };
}

const adsFrom = (first: number, count: number) =>
  columnsOf(Array.from({ length: count }, (_, i) => ({ ad: first + i })));

test('known items: an item is found by all of its bytes', () => {
  const { keys, known } = oneField();
  const items: readonly Item[] = [
    { ad: 1 },
    { ad: '1' },
    { ad: 12 },
    { ad: '12' },
    { adv: 1 },
    { ad: 1, adv: 1 },
    { ad: 'twelve bytes' },
    { ad: 'twelve bytes and more' },
  ];
  for (const item of items) {
    known.find(columnsOf([item]));
    expect(known.entries[0]).toBe(unknown);
    known.keep(0, keys);
    known.find(columnsOf([item, { ad: 'new' }, item]));
    const [first, second, third] = known.entries;
    expect(known.keysOf(first)).toBe(1);
    expect(second).toBe(unknown);
    expect(third).toBe(first);
  }
  keys.words.fill(9);
  keys.starts[0] = 0;
  keys.xs[0] = 0;
  known.recall(known.entries[0], keys, 0);
  expect([keys.words[0], keys.words[1], keys.xs[0], keys.counts[0]]).toEqual([5, 0xffff_ffff, 0.5, 1]);
});

test('known items: an item that is too long is passed over, one without values is an item', () => {
  const { known } = oneField();
  known.find(columnsOf([{}, { ad: 'x'.repeat(1_200) }, { ad: 1 }]));
  expect([...known.entries.slice(0, 3)]).toEqual([unknown, passedOver, unknown]);
});

test('known items: where items do not come again few requests are looked at, until they do', () => {
  const { keys, known } = oneField();
  const each = 100;
  /** Requests of which any item was looked for. */
  const lookedAt = (requests: number, firstOf: (r: number) => number) => {
    let looked = 0;
    for (let r = 0; r < requests; r += 1) {
      known.find(adsFrom(firstOf(r), each));
      const entries = known.entries.slice(0, each);
      if (entries.some((entry) => entry !== passedOver)) looked += 1;
      for (const [i, entry] of entries.entries()) if (entry === unknown) known.keep(i, keys);
    }
    return looked;
  };
  let next = 0;
  const anew = () => {
    next += each;
    return next;
  };
  expect(lookedAt(30, anew)).toBe(30);
  lookedAt(30, anew);
  expect(lookedAt(640, anew)).toBe(10);
  lookedAt(6_000, (r) => 10_000_000 + each * (r % 5));
  expect(lookedAt(50, (r) => 10_000_000 + each * (r % 5))).toBe(50);
});
