import type { ModelFile } from '@millrace/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalJson, fingerprintOf } from '../src/fingerprint.ts';

/** Every property that a model file can have, once or more. */
const wholeFile: ModelFile = {
  $schema: 'model.schema.json',
  name: 'ads',
  label: 'click',
  timestamp: 'time',
  item: 'ad',
  partitions: 16,
  tables: [
    {
      name: 'ids',
      wide: {
        optimizer: { type: 'ftrl', alpha: 0.1, beta: 1, l1: 0.5, l2: 0.25 },
        initializer: { type: 'zeros' },
      },
      embedding: {
        dim: 8,
        optimizer: { type: 'adagrad', learningRate: 0.05, initialAccumulator: 1, epsilon: 1e-8 },
        initializer: { type: 'uniform', scale: 0.02 },
      },
    },
  ],
  fields: [
    { type: 'sparse', name: 'ad', scope: 'item', table: 'ids' },
    { type: 'multi', name: 'tags', table: 'ids', separator: ',', pooling: 'mean', sharesKeysOf: 'ad' },
    { type: 'sequence', name: 'seen', scope: 'user', table: 'ids', pooling: 'sqrtn', lengthMax: 20 },
    { type: 'dense', name: 'price', transform: { type: 'standardize', mean: 3, deviation: 2 } },
    { type: 'dense', name: 'hour', transform: { type: 'bucket', boundaries: [6, 12, 18] }, table: 'ids' },
  ],
  crosses: [{ name: 'ad x hour', fields: ['ad', 'hour'], table: 'ids' }],
  bias: true,
  net: {
    wide: true,
    fm: false,
    layers: [{ units: 16, activation: 'relu' }, { units: 8 }],
    optimizer: { type: 'adam', learningRate: 0.001, beta1: 0.9, beta2: 0.99, epsilon: 1e-8 },
  },
  loss: 'logloss',
  seed: 7,
  learning: { joinWindowMs: 1_000, batchExamplesMax: 64, batchDelayMs: 5 },
};

/** Copies of `value`, each with one leaf changed, one property left out, or one list shortened or turned round. */
function* changes(value: unknown): Generator<unknown> {
  if (Array.isArray(value)) {
    if (value.length > 1) yield [...value].reverse();
    yield value.slice(1);
    for (const [i, item] of value.entries()) {
      for (const change of changes(item)) yield value.map((other: unknown, j) => (j === i ? change : other));
    }
  } else if (typeof value === 'object' && value !== null) {
    for (const [name, part] of Object.entries(value)) {
      const { [name]: _, ...rest } = value as Record<string, unknown>;
      yield rest;
      for (const change of changes(part)) yield { ...value, [name]: change };
    }
  } else if (typeof value === 'number') yield value + 1;
  else if (typeof value === 'string') yield `${value}x`;
  else yield !value;
}

/** The same value with the properties of every map the other way round. */
function turnedRound(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(turnedRound);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .map(([name, part]) => [name, turnedRound(part)])
      .reverse(),
  );
}

test('fingerprint: is pinned: a block must fit its model file over releases', () => {
  // Low word of the key of the canonical JSON; both computed by another program.
  expect(fingerprintOf(wholeFile)).toBe(2_641_214_707);
});

test('fingerprint: does not depend on the order of properties, nor on absent ones written as undefined', () => {
  expect(fingerprintOf(turnedRound(wholeFile) as ModelFile)).toBe(fingerprintOf(wholeFile));
  const { crosses: _, ...without } = wholeFile;
  const undefinedCrosses = { ...wholeFile, crosses: undefined } as unknown as ModelFile;
  expect(fingerprintOf(undefinedCrosses)).toBe(fingerprintOf(without));
});

test('fingerprint: does not depend on how the model learns, nor on $schema', () => {
  const { learning: _learning, $schema: _schema, ...meaning } = wholeFile;
  expect(fingerprintOf(meaning)).toBe(fingerprintOf(wholeFile));
  const learning = { joinWindowMs: 5 };
  expect(fingerprintOf({ ...wholeFile, learning, $schema: 'x' })).toBe(fingerprintOf(wholeFile));
});

test('fingerprint: changes with everything else', () => {
  const { learning: _learning, $schema: _schema, ...meaning } = wholeFile;
  const seen = new Map([[fingerprintOf(wholeFile), JSON.stringify(wholeFile)]]);
  for (const change of changes(meaning)) {
    const fingerprint = fingerprintOf(change as ModelFile);
    expect(seen.get(fingerprint)).toBeUndefined();
    seen.set(fingerprint, JSON.stringify(change));
  }
  // Some forty leaves, and what encloses them.
  expect(seen.size).toBeGreaterThan(100);
});

test('canonical JSON: is JSON of an equal value, and the same for every order (property)', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const plain: unknown = JSON.parse(JSON.stringify(value));
      const text = canonicalJson(plain);
      expect(JSON.parse(text)).toEqual(plain);
      expect(canonicalJson(turnedRound(plain))).toBe(text);
    }),
  );
});

test('canonical JSON: sorts names by their UTF-16 units, at every depth', () => {
  expect(canonicalJson({ b: [{ z: 1, a: 2 }], a: 'ä', B: null, 10: true, 9: 0.5 })).toBe(
    '{"10":true,"9":0.5,"B":null,"a":"ä","b":[{"a":2,"z":1}]}',
  );
});
