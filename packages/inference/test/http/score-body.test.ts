import {
  compileFeatures,
  compileNet,
  createFeatureEncoder,
  createSparseBatch,
  featuresOf,
  type Items,
} from '@millrace/model';
import { type Features, featureValuesMax, isMillraceError, type ModelFile } from '@millrace/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { scanBody } from '../../src/http/score-body.ts';
import { checkScoreRequest } from '../../src/request-checks.ts';
import { mutatedBytes, mutatedJson, randomFrom } from '../fuzz/mutations.ts';

function scan(text: string) {
  return scanBody(Buffer.from(text));
}

/** Names that a model below has, some that it has not, and one that has to be compared beyond its first bytes. */
const names = ['ad', 'adv', 'genres', 'seen', 'price', 'age', 'size', 'other', 'ünü', ''];
const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 12 }),
  fc.constantFrom('', 'a|b||c', '|', 'é|ö', '007', '-1'),
);
const number = fc.oneof(
  fc.integer(),
  fc.integer({ min: 0, max: 20 }),
  fc.maxSafeInteger(),
  fc.double({ min: -1e6, max: 1e6, noNaN: true }),
  fc.constantFrom(-0, 0, 0.5, 1e21, 1e-7),
);
const value = fc.oneof(
  text,
  number,
  fc.boolean(),
  fc.constant(null),
  fc.array(fc.oneof(text, number), { maxLength: 4 }),
);
const item = fc.dictionary(fc.constantFrom(...names), value, { maxKeys: 6, noNullPrototype: true });
const items = fc.array(item, { minLength: 1, maxLength: 6 });

const sgd = { type: 'sgd', learningRate: 0.1 } as const;
/** A field of each kind that an item can have. */
const model: ModelFile = {
  name: 'small',
  label: 'y',
  tables: [
    { name: 'wide', wide: { optimizer: sgd } },
    { name: 'both', wide: { optimizer: sgd }, embedding: { dim: 2, optimizer: sgd } },
  ],
  fields: [
    { name: 'ad', type: 'sparse', scope: 'item', table: 'both' },
    { name: 'adv', type: 'sparse', scope: 'item', table: 'wide', buckets: 5 },
    { name: 'genres', type: 'multi', scope: 'item', table: 'both', pooling: 'mean' },
    { name: 'seen', type: 'sequence', scope: 'item', table: 'both', lengthMax: 3 },
    { name: 'price', type: 'dense', scope: 'item', table: 'wide', transform: { type: 'log1p' } },
    {
      name: 'age',
      type: 'dense',
      scope: 'item',
      table: 'wide',
      transform: { type: 'bucket', boundaries: [0, 10] },
    },
    { name: 'size', type: 'dense', scope: 'item' },
    { name: 'who', type: 'sparse', scope: 'user', table: 'both' },
  ],
  crosses: [{ name: 'who-ad', fields: ['who', 'ad'], table: 'wide' }],
  net: { layers: [{ units: 2 }] },
  loss: 'logloss',
  seed: 7,
};
/** Items have one key a field and nothing else, of two tables; what was encoded before is not looked for. */
const plainModel: ModelFile = {
  ...model,
  fields: [
    { name: 'ad', type: 'sparse', scope: 'item', table: 'both' },
    { name: 'adv', type: 'sparse', scope: 'item', table: 'wide', buckets: 5 },
    { name: 'size', type: 'sparse', scope: 'item', table: 'both' },
    { name: 'ünü', type: 'sparse', scope: 'item', table: 'wide' },
    { name: 'who', type: 'sparse', scope: 'user', table: 'both' },
  ],
  crosses: [],
  net: { wide: true, layers: [{ units: 2 }] },
};
const ways = [model, plainModel].map((file) => {
  const plan = {
    ...compileFeatures(file, compileNet(file), featureValuesMax),
    keepsItems: file !== plainModel,
  };
  return { plan, encoder: createFeatureEncoder(plan) };
});

/** All that the encoders make of two requests of these items, or the error of the first. */
function encoded(of: Items): unknown {
  return ways.map((way) => encodedBy(way, of));
}

function encodedBy({ plan, encoder }: (typeof ways)[number], of: Items): unknown {
  const batch = createSparseBatch(plan);
  try {
    for (const who of ['eve', 'bob']) {
      encoder.beginRequest({ who }, {});
      encoder.addItems(batch, of);
    }
  } catch (error) {
    if (!isMillraceError(error)) throw error;
    return error.message;
  }
  const { rows, dense } = batch;
  const tables = batch.tables.map((table) => {
    const { keys, unique, occurrences, keyOf, exampleOf, slotOf, xOf, sharedOf } = table;
    const columns = [keyOf, exampleOf, slotOf, xOf, sharedOf].map((of) => of.slice(0, occurrences));
    return [keys.slice(0, 2 * unique), ...columns];
  });
  return [tables, rows, dense.slice(0, rows * plan.denseInputs.length)];
}

const spaces = fc.constantFrom('', ' ', '\n\t', '\r\n  ');

test('score body: what is scanned is what JSON.parse makes of it, and is encoded to the bit alike', () => {
  let taken = 0;
  fc.assert(
    fc.property(items, spaces, fc.boolean(), (of, space, isFirst) => {
      const rest = { model: 'small', user: { who: 'items"]}' }, log: false };
      const body = isFirst ? { items: of, ...rest } : { ...rest, items: of };
      const written = JSON.stringify(body, null, space);
      const scanned = scan(written);
      if (scanned === null) return;
      taken += 1;
      const parsed = (JSON.parse(written) as { items: Features[] }).items;
      expect(scanned.items.features()).toEqual(parsed);
      expect(scanned.items.length).toBe(parsed.length);
      expect(JSON.parse(scanned.rest.toString())).toEqual({ ...rest, items: [{}] });
      expect(encoded(scanned.items)).toEqual(encoded(parsed));
    }),
    { numRuns: 2_000 },
  );
  // The others have escapes, exponents or numbers too long.
  expect(taken).toBeGreaterThan(400);
});

test('score body: an item has the last value of a name that it has twice', () => {
  for (const twice of ['{"ad":1,"ad":2}', '{"ad":1,"ad":null}', '{"ad":"x","other":1,"ad":"y"}']) {
    const scanned = scan(`{"items":[${twice},{"ad":3},${twice}]}`)!;
    const parsed = JSON.parse(twice) as Features;
    expect(encoded(scanned.items)).toEqual(encoded([parsed, { ad: 3 }, parsed]));
  }
});

/** Items with the same few names in one order, now and then without one, with other space or another order. */
const alike = fc.record({
  order: fc.shuffledSubarray(names.filter((name) => name !== '')),
  rows: fc.array(fc.array(fc.oneof(number, text, value), { minLength: 10, maxLength: 10 }), {
    minLength: 2,
    maxLength: 40,
  }),
  odd: fc.nat(50),
  space: spaces,
});

test('score body: items that are written as the one before, and those that are not', () => {
  let taken = 0;
  fc.assert(
    fc.property(alike, ({ order, rows, odd, space }) => {
      const of = rows.map((values, i) => {
        const all = order.map((name, n) => [name, values[n]] as const);
        if (i !== odd) return Object.fromEntries(all);
        return Object.fromEntries(i % 2 === 0 ? all.slice(1) : all.toReversed());
      });
      const written = JSON.stringify({ items: of }, null, space);
      const scanned = scan(written);
      if (scanned === null) return;
      taken += 1;
      const parsed = (JSON.parse(written) as { items: Features[] }).items;
      expect(scanned.items.features()).toEqual(parsed);
      expect(encoded(scanned.items)).toEqual(encoded(parsed));
    }),
    { numRuns: 500 },
  );
  expect(taken).toBeGreaterThan(50);
});

const two = '{"ad":1,"adv":2},{"ad":3,"adv":4}';

test.each([
  ['a gap between items before the first', '{"items":[},{"ad":1,"adv":2}]}'],
  ['a gap within an item before the first', '{"items":[,"adv":1}]}'],
  ['a gap within an item behind an empty one', '{"items":[{},"adv":1}]}'],
  ['a gap between items behind an empty one', '{"items":[{}},{"ad":1}]}'],
  ['a gap and no value', `{"items":[${two},{"ad":}]}`],
  ['a gap at the end', `{"items":[${two},{"ad":`],
  ['a gap that is cut off', `{"items":[${two},{"ad"`],
  ['a value that begins with 0', `{"items":[${two},{"ad":01,"adv":2}]}`],
  ['a value of 16 digits', `{"items":[${two},{"ad":1234567890123456,"adv":2}]}`],
  ['a value with an exponent', `{"items":[${two},{"ad":1e3,"adv":2}]}`],
  ['a value with an escape', `{"items":[${two},{"ad":"abcd\\n","adv":2}]}`],
  ['a value with a control character', `{"items":[${two},{"ad":"abcd\n","adv":2}]}`],
  ['a value that is too long', `{"items":[${two},{"ad":"${'x'.repeat(1_025)}","adv":2}]}`],
  ['an object as value', `{"items":[${two},{"ad":{},"adv":2}]}`],
  ['too many items', `{"items":[${Array(2_001).fill('{"ad":1,"adv":2}')}]}`],
])(
  'score body: what stood between values of requests before means nothing else elsewhere: %s',
  (_title, body) => {
    expect(scan(`{"items":[${two}]}`)).not.toBeNull();
    expect(scan(body)).toBeNull();
    expect(scan(`{"items":[${Array(2_000).fill('{"ad":1,"adv":2}')}]}`)?.items.length).toBe(2_000);
  },
);

test('score body: what stands before the first value is no gap, and what has items without a value in it is none', () => {
  scan('{"items":[{"ad":1}]}');
  expect(scan('{"items":[{"ad":1},{},{"ad":2{"ad":3}]}')).toBeNull();
  const of = [{ ad: 1 }, {}, { ad: 2 }, {}, { ad: 3 }, { ad: 4 }, {}, {}, { ad: 5 }];
  const scanned = scan(JSON.stringify({ items: of }))!;
  expect(scanned.items.length).toBe(of.length);
  expect(encoded(scanned.items)).toEqual(encoded(of));
});

test('score body: more names than there are columns for, over many requests, and names that are very long', () => {
  const long = 'n'.repeat(20_000);
  for (let r = 0; r < 12; r += 1) {
    const of = Array.from({ length: 3 }, (_, i) => ({
      ad: i,
      ...Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`n${100 * r + n}`, n])),
      [`${long}${r}`]: 'x',
      adv: `${r}`,
    }));
    const scanned = scan(JSON.stringify({ items: of }))!;
    expect(scanned.items.features()).toEqual(of);
    expect(encoded(scanned.items)).toEqual(encoded(of));
  }
});

test('score body: requests scanned one after the other keep their own items', () => {
  const bodies = Array.from({ length: 40 }, (_, r) => ({
    items: Array.from({ length: 300 }, (_, i) => ({ ad: r * 1_000 + i, genres: ['a', r], other: `${i}` })),
  }));
  const scanned = bodies.map((body) => scan(JSON.stringify(body))!.items);
  bodies.forEach((body, r) => {
    expect(scanned[r].features()).toEqual(body.items);
    expect(encoded(scanned[r])).toEqual(encoded(body.items));
  });
});

test.each([
  ['no items', '{"model":"small"}'],
  ['no item', '{"items":[]}'],
  ['items that are no list', '{"items":{"ad":1}}'],
  ['items twice', '{"items":[{"ad":1}],"items":[{"ad":2}]}'],
  ['a name with an escape', '{"items":[{"\\u0061d":1}]}'],
  ['a text with an escape', '{"items":[{"ad":"\\n"}]}'],
  ['a number with an exponent', '{"items":[{"ad":1e3}]}'],
  ['a number of 16 digits', '{"items":[{"ad":1234567890123456}]}'],
  ['a number that begins with 0', '{"items":[{"ad":01}]}'],
  ['a list in a list', '{"items":[{"genres":[[1]]}]}'],
  ['a null in a list', '{"items":[{"genres":[null]}]}'],
  ['a list that is too long', `{"items":[{"genres":[${Array(1_001).fill(1)}]}]}`],
  ['a text that is too long', `{"items":[{"ad":"${'x'.repeat(1_025)}"}]}`],
  ['too many items', `{"items":[${Array(2_001).fill('{}')}]}`],
  ['too many names', `{"items":[{${Array.from({ length: 257 }, (_, i) => `"n${i}":1`)}}]}`],
  ['an object in an item', '{"items":[{"ad":{}}]}'],
  ['a name that objects have', '{"items":[{"__proto__":1}]}'],
  ['a comma too many', '{"items":[{"ad":1},]}'],
  ['a comma too many in an item', '{"items":[{"ad":1,}]}'],
  ['a body that ends early', '{"items":[{"ad":1}'],
  ['an item that ends early', '{"items":[{"ad":1'],
  ['a text that ends early', '{"items":[{"ad":"1'],
  ['no object', '[{"ad":1}]'],
])('score body: not taken: %s', (_title, body) => {
  expect(scan(body)).toBeNull();
});

/** The value that a parse gives; undefined: none. */
function parsedFrom(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isValid(body: unknown): boolean {
  try {
    checkScoreRequest(body);
    return true;
  } catch {
    return false;
  }
}

test('score body: of broken bodies only those are taken that are read as a whole likewise', () => {
  const random = randomFrom(11);
  const good = {
    model: 'small',
    user: { who: 'é', tags: ['a', 'b'] },
    items: [
      { ad: 'x', genres: 'a|b', seen: [1, 'b'], price: 1.5 },
      { ad: 17, other: true, size: null, price: -2 },
    ],
    log: false,
  };
  const plain = Buffer.from(JSON.stringify(good));
  let taken = 0;
  for (let run = 0; run < 20_000; run += 1) {
    const json = () => Buffer.from(JSON.stringify(mutatedJson(random, good)) ?? '');
    const body = run % 2 === 0 ? mutatedBytes(random, plain) : json();
    // Bytes that are no UTF-8 are refused before anything looks at them.
    const text = body.toString('utf8');
    const scanned = scan(text);
    if (scanned === null) continue;
    const rest = parsedFrom(scanned.rest.toString());
    if (rest === undefined || !isValid(rest)) continue;
    taken += 1;
    const whole = JSON.parse(text) as { items: Features[] };
    expect(featuresOf(scanned.items)).toEqual(whole.items);
    expect(rest).toEqual({ ...whole, items: [{}] });
    expect(isValid(whole)).toBe(true);
  }
  expect(taken).toBeGreaterThan(500);
}, 30_000);
