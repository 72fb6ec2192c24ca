import type { Features, ModelFile } from '@millrace/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createFeatureEncoder } from '../src/feature-encoder.ts';
import { createSparseBatch } from '../src/sparse-batch.ts';
import { biasKeyOf, crossKeyOf, encode, keyOf, planOf, shown } from './encoded.ts';
import { embeddingTable, smallModel } from './small-model.ts';

const sparse = (name: string, scope: 'user' | 'item' | 'context' = 'item') =>
  ({ name, type: 'sparse', scope, table: 'wide' }) as const;
const multi = (name: string, pooling: 'sum' | 'mean' | 'sqrtn' = 'sum') =>
  ({ name, type: 'multi', scope: 'item', table: 'wide', pooling }) as const;

test('feature encoder: sparse: one key of weight 1 for each example, from the scope that the field names', () => {
  const file = smallModel({ fields: [sparse('city', 'context'), sparse('who', 'user'), sparse('ad')] });
  const { plan, tables } = encode(file, [
    {
      user: { who: 'eve', city: 'wrong scope' },
      context: { city: 'Köln' },
      items: [{ ad: 'x' }, { ad: 'y' }],
    },
  ]);
  expect(tables[0]).toEqual([
    [0, keyOf(plan, 'city', 'Köln'), -1, 1],
    [0, keyOf(plan, 'who', 'eve'), -1, 1],
    [0, keyOf(plan, 'ad', 'x'), -1, 1],
    [1, keyOf(plan, 'city', 'Köln'), -1, 1],
    [1, keyOf(plan, 'who', 'eve'), -1, 1],
    [1, keyOf(plan, 'ad', 'y'), -1, 1],
  ]);
});

test('feature encoder: sparse: numbers and booleans are hashed by their text', () => {
  const file = smallModel({ fields: [sparse('ad')] });
  const { plan, tables } = encode(file, [
    { items: [{ ad: 12 }, { ad: '12' }, { ad: -0.5 }, { ad: true }, { ad: 'false' }, { ad: false }] },
  ]);
  expect(tables[0].map(([, key]) => key)).toEqual(
    ['12', '12', '-0.5', 'true', 'false', 'false'].map((text) => keyOf(plan, 'ad', text)),
  );
});

test('feature encoder: absent, null and empty values have no key, and their example is still there', () => {
  const file = smallModel({ fields: [sparse('ad'), multi('tags')] });
  const { batch, tables } = encode(file, [
    { items: [{}, { ad: null, tags: null }, { ad: '', tags: '' }, { tags: [] }] },
  ]);
  expect([batch.rows, tables[0]]).toEqual([4, []]);
});

test('feature encoder: multi: text is cut at the separator, lists are taken as they are, empty parts skipped', () => {
  const file = smallModel({ fields: [{ ...multi('tags'), separator: ', ' }] });
  const { plan, tables } = encode(file, [
    { items: [{ tags: 'a, b' }, { tags: ['a', 3, ''] }, { tags: ', a, ' }, { tags: 7 }] },
  ]);
  expect(tables[0]).toEqual([
    [0, keyOf(plan, 'tags', 'a'), -1, 1],
    [0, keyOf(plan, 'tags', 'b'), -1, 1],
    [1, keyOf(plan, 'tags', 'a'), -1, 1],
    [1, keyOf(plan, 'tags', '3'), -1, 1],
    [2, keyOf(plan, 'tags', 'a'), -1, 1],
    [3, keyOf(plan, 'tags', '7'), -1, 1],
  ]);
});

test.each([
  ['sum', 1],
  ['mean', 1 / 4],
  ['sqrtn', 1 / 2],
] as const)('feature encoder: multi: %s weights each of four values by %d', (pooling, x) => {
  const { tables } = encode(smallModel({ fields: [multi('tags', pooling)] }), [
    { items: [{ tags: 'a|b|c|d' }] },
  ]);
  expect(tables[0].map(([, , , weight]) => weight)).toEqual([x, x, x, x]);
});

test('feature encoder: multi: parts that are skipped do not count in the mean', () => {
  const { tables } = encode(smallModel({ fields: [multi('tags', 'mean')] }), [
    { items: [{ tags: 'a||b|' }] },
  ]);
  expect(tables[0].map(([, , , weight]) => weight)).toEqual([0.5, 0.5]);
});

test('feature encoder: sequence: keeps the newest, at most lengthMax, in order', () => {
  const field = { name: 'seen', type: 'sequence', scope: 'user', table: 'wide', lengthMax: 2 } as const;
  const { plan, tables } = encode(smallModel({ fields: [field] }), [
    { user: { seen: 'old|newer|newest' }, items: [{}] },
    { user: { seen: ['only'] }, items: [{}] },
  ]);
  expect(tables[0]).toEqual([
    [0, keyOf(plan, 'seen', 'newer'), -1, 0.5],
    [0, keyOf(plan, 'seen', 'newest'), -1, 0.5],
    [1, keyOf(plan, 'seen', 'only'), -1, 1],
  ]);
});

test('feature encoder: multi and sequence: a text has the keys of the list that it is cut into (property)', () => {
  const seen = { name: 'seen', type: 'sequence', scope: 'item', table: 'wide', lengthMax: 3 } as const;
  const file = smallModel({
    fields: [
      { ...multi('tags', 'mean'), separator: '--' },
      { ...seen, separator: '-' },
    ],
  });
  const pieces = fc.array(fc.constantFrom('', 'a', '-', 'ü', '--', 'bc'), { maxLength: 8 });
  fc.assert(
    fc.property(pieces, (list) => {
      const text = list.join('-');
      const whole = encode(file, [{ items: [{ tags: text, seen: text }] }]);
      const cut = encode(file, [{ items: [{ tags: text.split('--'), seen: text.split('-') }] }]);
      expect(whole.tables).toEqual(cut.tables);
    }),
  );
});

test('feature encoder: sharesKeysOf: history and item meet in the same row', () => {
  const file = smallModel({
    fields: [
      sparse('ad'),
      { name: 'seen', type: 'sequence', scope: 'user', table: 'wide', sharesKeysOf: 'ad' },
    ],
  });
  const { plan, batch, tables } = encode(file, [{ user: { seen: 'x|y' }, items: [{ ad: 'x' }] }]);
  const x = keyOf(plan, 'ad', 'x');
  expect(tables[0]).toEqual([
    [0, x, -1, 1],
    [0, x, -1, 0.5],
    [0, keyOf(plan, 'ad', 'y'), -1, 0.5],
  ]);
  expect(batch.tables[0].unique).toBe(2);
});

test('feature encoder: dense: a field with a table weights one row of its own by the transformed number', () => {
  const dense = (name: string, transform: object) =>
    ({ name, type: 'dense', scope: 'item', table: 'wide', transform }) as never;
  const file = smallModel({
    fields: [
      dense('plain', { type: 'none' }),
      dense('log', { type: 'log1p' }),
      dense('norm', { type: 'standardize', mean: 3, deviation: 2 }),
    ],
  });
  const { plan, tables } = encode(file, [
    { items: [{ plain: 2.5, log: 0, norm: 7 }, { log: -1, norm: 0 }, { plain: true }] },
  ]);
  expect(tables[0]).toEqual([
    [0, keyOf(plan, 'plain', ''), -1, 2.5],
    [0, keyOf(plan, 'log', ''), -1, 0],
    [0, keyOf(plan, 'norm', ''), -1, 2],
    // −ln 2 rounded to float32
    [1, keyOf(plan, 'log', ''), -1, Math.fround(-Math.LN2)],
    [1, keyOf(plan, 'norm', ''), -1, -1.5],
    [2, keyOf(plan, 'plain', ''), -1, 1],
  ]);
});

test('feature encoder: dense: bucket counts the boundaries that are not above the number', () => {
  const age = {
    name: 'age',
    type: 'dense',
    scope: 'item',
    table: 'wide',
    transform: { type: 'bucket', boundaries: [18, 30] },
  } as const;
  const { plan, tables } = encode(smallModel({ fields: [age] }), [
    { items: [{ age: -5 }, { age: 17.9 }, { age: 18 }, { age: 30 }, { age: 99 }] },
  ]);
  expect(tables[0].map(([, key]) => key)).toEqual(
    ['0', '0', '1', '2', '2'].map((text) => keyOf(plan, 'age', text)),
  );
});

test('feature encoder: dense: the layers read the transformed numbers, 0 where one is missing', () => {
  const file = smallModel({
    tables: [embeddingTable('wide', 2)],
    net: { layers: [{ units: 2 }] },
    fields: [
      { name: 'a', type: 'dense', scope: 'user' },
      { name: 'b', type: 'dense', transform: { type: 'standardize', mean: 1, deviation: 4 } },
      { name: 'c', type: 'dense', scope: 'item', transform: { type: 'log1p' } },
    ],
  });
  const { dense } = encode(file, [
    { user: { a: 5 }, context: { b: 3 }, items: [{ c: 0 }, { c: '' }, {}] },
    { user: { a: null }, items: [{ c: 1 }] },
  ]);
  expect(dense).toEqual([
    [5, 0.5, 0],
    [5, 0.5, 0],
    [5, 0.5, 0],
    [0, 0, Math.fround(Math.LN2)],
  ]);
});

test('feature encoder: cross: every combination of the values is one key, none when a field is empty', () => {
  const file = smallModel({
    fields: [sparse('who', 'user'), multi('tags', 'mean')],
    crosses: [{ name: 'who-tags', fields: ['who', 'tags'], table: 'pairs' }],
    tables: [{ ...smallModel({ fields: [] }).tables[0] }, embeddingTable('pairs', 3)],
    net: 'fm',
  });
  const { plan, tables } = encode(file, [
    { user: { who: 'eve' }, items: [{ tags: 'a|b' }, {}] },
    { items: [{ tags: 'a' }] },
  ]);
  // Crosses are weighted by 1 whatever the pooling of their fields; the only slot is the cross's.
  expect(tables[1]).toEqual([
    [0, crossKeyOf(plan, 'who-tags', ['eve', 'a']), 0, 1],
    [0, crossKeyOf(plan, 'who-tags', ['eve', 'b']), 0, 1],
  ]);
  expect(crossKeyOf(plan, 'who-tags', ['eve', 'a'])).not.toBe(crossKeyOf(plan, 'who-tags', ['a', 'eve']));
});

test('feature encoder: bias: one key that every example has', () => {
  const { plan, tables } = encode(smallModel({ fields: [sparse('ad')], bias: true }), [
    { items: [{ ad: 'x' }, {}] },
  ]);
  expect(tables[0]).toEqual([
    [0, keyOf(plan, 'ad', 'x'), -1, 1],
    [0, biasKeyOf(plan), -1, 1],
    [1, biasKeyOf(plan), -1, 1],
  ]);
});

test('feature encoder: more keys than the starting room', () => {
  const tags = Array.from({ length: 1_000 }, (_, i) => `t${i}`);
  const { plan, batch, tables } = encode(smallModel({ fields: [sparse('who', 'user'), multi('tags')] }), [
    { user: { who: 'eve' }, items: [{ tags }, { tags: ['t999'] }] },
  ]);
  expect(tables[0].slice(0, 1_001).map(([, key]) => key)).toEqual([
    keyOf(plan, 'who', 'eve'),
    ...tags.map((tag) => keyOf(plan, 'tags', tag)),
  ]);
  expect(tables[0].slice(1_001)).toEqual([
    [1, keyOf(plan, 'who', 'eve'), -1, 1],
    [1, keyOf(plan, 'tags', 't999'), -1, 1],
  ]);
  expect(batch.tables[0].unique).toBe(1_001);
});

const weighted = { name: 'price', type: 'dense', scope: 'item', table: 'wide' } as const;
const bucketed = { ...weighted, transform: { type: 'bucket', boundaries: [1] } } as const;
const steep = { ...weighted, transform: { type: 'standardize', mean: 0, deviation: 1e-30 } } as const;
const layers = smallModel({
  tables: [embeddingTable('wide', 2)],
  net: { layers: [{ units: 2 }] },
  fields: [sparse('ad'), { name: 'age', type: 'dense', scope: 'user' }],
});

interface BadCase {
  readonly title: string;
  readonly file: ModelFile;
  readonly user?: unknown;
  readonly item?: unknown;
  readonly message: string;
}

const badCases: readonly BadCase[] = [
  {
    title: 'a list for one value',
    file: smallModel({ fields: [sparse('ad')] }),
    item: { ad: ['x'] },
    message: 'cannot use items[1].ad: it must be one value, got a list',
  },
  {
    title: 'a map for one value',
    file: smallModel({ fields: [sparse('who', 'user')] }),
    user: { who: {} },
    message: 'cannot use user.who: it must be one value, got object',
  },
  {
    title: 'NaN as an id',
    file: smallModel({ fields: [sparse('ad')] }),
    item: { ad: Number.NaN },
    message: 'cannot use items[1].ad: it must be text or a finite number, got NaN',
  },
  {
    title: 'a boolean for a list',
    file: smallModel({ fields: [multi('tags')] }),
    item: { tags: true },
    message: 'cannot use items[1].tags: it must be a list, or text with "|" between, got boolean',
  },
  {
    title: 'a list with null in it',
    file: smallModel({ fields: [multi('tags')] }),
    item: { tags: ['a', null] },
    message: 'cannot use items[1].tags: it must be text or numbers throughout, got null',
  },
  {
    title: 'a list with Infinity in it',
    file: smallModel({ fields: [multi('tags')] }),
    item: { tags: [1, Number.POSITIVE_INFINITY] },
    message: 'cannot use items[1].tags: it must be text or a finite number, got Infinity',
  },
  {
    title: 'more values than a list may have',
    file: smallModel({ fields: [multi('tags')] }),
    item: { tags: new Array(1_001).fill('a') },
    message: 'cannot use items[1].tags: it must be at most 1000 values, got 1001',
  },
  {
    title: 'text for a number',
    file: smallModel({ fields: [weighted] }),
    item: { price: '12' },
    message: 'cannot use items[1].price: it must be a finite number, got string',
  },
  {
    title: 'text for a bucketed number',
    file: smallModel({ fields: [bucketed] }),
    item: { price: 'dear' },
    message: 'cannot use items[1].price: it must be a finite number, got string',
  },
  {
    title: 'text for a number of the layers',
    file: layers,
    user: { age: 'old' },
    message: 'cannot use user.age: it must be a finite number, got string',
  },
  {
    title: 'a number beyond float32',
    file: smallModel({ fields: [weighted] }),
    item: { price: 1e39 },
    message: 'cannot use items[1].price: it must be a number within ±3.4e38 once transformed, got 1e+39',
  },
  {
    title: 'a number of the layers beyond float32',
    file: layers,
    user: { age: -1e39 },
    message: 'cannot use user.age: it must be a number within ±3.4e38 once transformed, got -1e+39',
  },
  {
    title: 'a number that its transform takes beyond float32',
    file: smallModel({ fields: [steep] }),
    item: { price: 1e10 },
    message:
      'cannot use items[1].price: it must be a number within ±3.4e38 once transformed, got 10000000000',
  },
];

test.each(badCases)(
  'feature encoder: refuses $title, names path, wanted and found, and leaves the batch as it was',
  ({ file, user, item, message }) => {
    const plan = planOf({ ...file, bias: true });
    const batch = createSparseBatch(plan);
    const encoder = createFeatureEncoder(plan);
    encoder.beginRequest({}, {});
    encoder.addItem(batch, {}, 0);
    const before = JSON.stringify([batch.rows, shown(batch)]);
    const details = { path: /cannot use (\S+):/.exec(message)![1] };
    expect(() => {
      encoder.beginRequest((user ?? {}) as Features, {});
      encoder.addItem(batch, (item ?? {}) as Features, 1);
    }).toThrow(expect.objectContaining({ code: 'MILL_FEATURE_INVALID', message, details }));
    expect(JSON.stringify([batch.rows, shown(batch)])).toBe(before);
    // The encoder is still good.
    encoder.beginRequest({}, {});
    encoder.addItem(batch, {}, 0);
    expect(batch.rows).toBe(2);
  },
);

test('feature encoder: dedupe: a key that many examples have is there once', () => {
  const file = smallModel({ fields: [sparse('who', 'user'), sparse('ad')], bias: true });
  const { plan, batch } = encode(file, [
    { user: { who: 'eve' }, items: [{ ad: 'x' }, { ad: 'y' }] },
    { user: { who: 'eve' }, items: [{ ad: 'x' }] },
  ]);
  const { keys, unique, occurrences } = batch.tables[0];
  const shownKeys = Array.from({ length: unique }, (_, k) =>
    [keys[2 * k + 1], keys[2 * k]].map((word) => word.toString(16)).join(':'),
  );
  expect(shownKeys).toEqual([
    keyOf(plan, 'who', 'eve'),
    keyOf(plan, 'ad', 'x'),
    biasKeyOf(plan),
    keyOf(plan, 'ad', 'y'),
  ]);
  // Who asks and the bias once a request, an ad once an item.
  expect(occurrences).toBe(2 + 2 + 2 + 1);
});

const inherited = ['constructor', 'toString', 'hasOwnProperty', 'valueOf', '__proto__'];

test.each(inherited)('feature encoder: a field named %s is missing when the request has none', (name) => {
  const fields = [
    { name, type: 'sparse', scope: 'user', table: 'wide' },
    { name, type: 'multi', scope: 'item', table: 'wide' },
    { name, type: 'dense', scope: 'context', table: 'wide' },
    { name, type: 'dense', scope: 'context' },
  ] as const;
  for (const field of fields) {
    const net = field.type === 'dense' && !('table' in field) ? { layers: [{ units: 1 }] } : 'linear';
    const file = smallModel({ fields: [sparse('ad'), field], tables: [embeddingTable('wide', 2)], net });
    const { tables, dense } = encode(file, [{ items: [{ ad: 'x' }] }]);
    expect([tables[0].length, dense.flat()]).toEqual([1, net === 'linear' ? [] : [0]]);
  }
});

test.each(inherited)('feature encoder: a field named %s is read when the request has it', (name) => {
  const file = smallModel({
    fields: [
      { name, type: 'sparse', scope: 'user', table: 'wide' },
      { name: 'tags', type: 'multi', scope: 'item', table: 'wide' },
    ],
  });
  const { plan, tables } = encode(file, [{ user: JSON.parse(`{"${name}":"x"}`), items: [{}] }]);
  expect(tables[0]).toEqual([[0, keyOf(plan, name, 'x'), -1, 1]]);
});

test('feature encoder: buckets: values meet in so many keys, each the key of a bucket of its own field', () => {
  const bounded = (name: string, buckets: number) => ({ ...sparse(name), buckets });
  const file = smallModel({ fields: [bounded('ad', 5), bounded('site', 5), sparse('free')] });
  const items = Array.from({ length: 300 }, (_, i) => ({ ad: i, site: i, free: i }));
  const { tables } = encode(file, [{ items }]);
  const keysOf = (field: number) =>
    new Set(tables[0].filter((_, i) => i % 3 === field).map(([, key]) => key));
  expect([keysOf(0).size, keysOf(1).size, keysOf(2).size]).toEqual([5, 5, 300]);
  expect([...keysOf(0)].filter((key) => keysOf(1).has(key))).toEqual([]);
  // The same value is the same key in whatever batch it comes.
  const again = encode(file, [{ items: [{ ad: 17 }] }]);
  expect(again.tables[0][0][1]).toBe(tables[0][3 * 17][1]);
});

test('feature encoder: buckets: fields that share a key space share its buckets', () => {
  const file = smallModel({
    fields: [
      { ...sparse('ad'), buckets: 7 },
      { name: 'seen', type: 'sequence', scope: 'user', table: 'wide', sharesKeysOf: 'ad', buckets: 7 },
    ],
  });
  const { tables } = encode(file, [{ user: { seen: 'a|b' }, items: [{ ad: 'a' }, { ad: 'b' }] }]);
  // Of the first item the ad, then what was seen; of the second what was seen, which both share, then the ad.
  const keys = tables[0].map(([, key]) => key);
  expect([keys[0], keys[5]]).toEqual([keys[1], keys[2]]);
});

test('feature encoder: buckets: of crosses, over keys that may be bounded themselves', () => {
  const file = smallModel({
    fields: [{ ...sparse('ad'), buckets: 50 }, sparse('who')],
    crosses: [{ name: 'pair', fields: ['ad', 'who'], table: 'wide', buckets: 4 }],
  });
  const items = Array.from({ length: 200 }, (_, i) => ({ ad: i, who: i % 7 }));
  const { tables } = encode(file, [{ items }]);
  const crosses = tables[0].filter((_, i) => i % 3 === 2).map(([, key]) => key);
  expect(new Set(crosses).size).toBe(4);
});

test('feature encoder: attended sequences: each position has its own floats, the batch its length', () => {
  const file = smallModel({
    fields: [
      { name: 'ad', type: 'sparse', scope: 'item', table: 'ids' },
      { name: 'seen', type: 'sequence', scope: 'user', table: 'ids', sharesKeysOf: 'ad', lengthMax: 3 },
    ],
    tables: [embeddingTable('ids', 2)],
    net: { attention: [{ sequence: 'seen', target: 'ad' }], layers: [{ units: 2 }] },
  });
  const { plan, batch, tables } = encode(file, [
    { user: { seen: 'a|b||c|d' }, items: [{ ad: 'a' }, { ad: 'b' }] },
    { user: {}, items: [{ ad: 'a' }] },
    { user: { seen: ['c'] }, items: [{}] },
  ]);
  const key = (text: string) => keyOf(plan, 'ad', text);
  // Slots: ad at 0, seen at 2; positions from 4. The newest three of the text count, of which one is empty.
  expect(tables[0]).toEqual([
    [0, key('a'), 0, 1],
    [0, key('c'), 4, 1],
    [0, key('d'), 6, 1],
    [1, key('b'), 0, 1],
    [1, key('c'), 4, 1],
    [1, key('d'), 6, 1],
    [2, key('a'), 0, 1],
    [3, key('c'), 4, 1],
  ]);
  expect([...batch.lengths.subarray(0, 4)]).toEqual([2, 2, 0, 1]);
  expect(plan.embeddingFloats).toBe(4 + 3 * 2);
});

test('feature encoder: attended sequences: lengths of more examples than there was room for', () => {
  const file = smallModel({
    fields: [
      { name: 'ad', type: 'sparse', scope: 'item', table: 'ids' },
      { name: 'seen', type: 'sequence', scope: 'item', table: 'ids', lengthMax: 2 },
    ],
    tables: [embeddingTable('ids', 1)],
    net: { attention: [{ sequence: 'seen', target: 'ad' }], layers: [{ units: 2 }] },
  });
  const items = Array.from({ length: 1_000 }, (_, i) => ({
    ad: i,
    seen: i % 3 === 0 ? '' : i % 3 === 1 ? 'a' : 'a|b',
  }));
  const { batch } = encode(file, [{ items }]);
  expect(batch.lengths.subarray(0, 1_000).every((length, i) => length === i % 3)).toBe(true);
});
