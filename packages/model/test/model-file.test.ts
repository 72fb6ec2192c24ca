import { readFileSync } from 'node:fs';
import { MillraceError, type ModelFile } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { defineModel, modelFileBytes, parseModelFile, sameModel } from '../src/model-file.ts';
import { exampleModel, type Loose } from './example-model.ts';

/** The problems that parseModelFile finds. */
function problemsOf(value: unknown): string[] {
  try {
    parseModelFile(value);
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    expect(error.code).toBe('MILL_MODEL_INVALID');
    const problems = error.details?.problems as string[];
    for (const problem of problems.slice(0, 20)) expect(error.message).toContain(problem);
    return problems;
  }
  return [];
}

function changed(change: (file: Loose) => void): string[] {
  return problemsOf(exampleModel(change));
}

test('model file: a file with every property passes and comes back equal, frozen and apart', () => {
  const file = exampleModel();
  const parsed = parseModelFile(file);
  expect(parsed).toEqual(file);
  expect(parsed).not.toBe(file);
  expect(Object.isFrozen(parsed.tables[0].embedding?.optimizer)).toBe(true);
  expect(Object.isFrozen(file)).toBe(false);
});

test('model file: the examples pass', () => {
  for (const name of ['movietweetings', 'movietweetings-ftrl']) {
    const url = new URL(`../../../examples/${name}.json`, import.meta.url);
    expect(parseModelFile(JSON.parse(readFileSync(url, 'utf8'))).name).toBe(name);
  }
});

test('model file: the smallest linear model passes', () => {
  const file = defineModel({
    name: 'm',
    label: 'y',
    tables: [{ name: 't', wide: { optimizer: { type: 'sgd', learningRate: 1 } } }],
    fields: [{ name: 'a', type: 'sparse', table: 't' }],
    net: 'linear',
    loss: 'logloss',
    seed: 0,
  });
  expect(file.fields[0].name).toBe('a');
});

test.each<[string, (file: Loose) => void, string[]]>([
  ['missing part', (f) => delete f.label, ['label: wanted a value, found nothing']],
  [
    'unknown name',
    (f) => (f.tables[0].dims = 3),
    [
      'tables[0].dims: wanted only name, admission, expiry, precision, wide, embedding, found an unknown name',
    ],
  ],
  ['wrong type', (f) => (f.seed = '1'), ['seed: wanted an integer, found "1"']],
  [
    'fraction',
    (f) => (f.tables[0].embedding.dim = 1.5),
    ['tables[0].embedding.dim: wanted an integer, found 1.5'],
  ],
  [
    'wrong text',
    (f) => (f.fields[2].pooling = 'max'),
    ['fields[2].pooling: wanted one of sum, mean, sqrtn, found "max"'],
  ],
  [
    'model name',
    (f) => (f.name = 'My model'),
    [
      'name: wanted a lower-case letter, then at most 39 lower-case letters, digits or dashes, found "My model"',
    ],
  ],
  [
    'unknown field type',
    (f) => (f.fields[0].type = 'dens'),
    ['fields[0].type: wanted one of sparse, multi, sequence, dense, found "dens"'],
  ],
  [
    'unknown optimizer',
    (f) => (f.tables[2].wide.optimizer = { type: 'lion' }),
    [
      'tables[2].wide.optimizer.type: wanted one of sgd, adagrad, rowwise-adagrad, adam, ftrl, newton, found "lion"',
    ],
  ],
  [
    'part of another optimizer',
    (f) => (f.tables[2].wide.optimizer.alpha = 1),
    [
      'tables[2].wide.optimizer.alpha: wanted only type, lambda, c, l1, l2, gradientMax, gradientNormMax, weightMax, found an unknown name',
    ],
  ],
  [
    'NaN',
    (f) => (f.tables[0].wide.optimizer.alpha = Number.NaN),
    ['tables[0].wide.optimizer.alpha: wanted a number, found NaN'],
  ],
  [
    'infinity',
    (f) => (f.fields[6].transform.mean = Number.NEGATIVE_INFINITY),
    ['fields[6].transform.mean: wanted a number, found -Infinity'],
  ],
  [
    'negative rate',
    (f) => (f.tables[0].wide.optimizer.alpha = -1),
    ['tables[0].wide.optimizer.alpha: wanted a number > 0, found -1'],
  ],
  ['partitions', (f) => (f.partitions = 4097), ['partitions: wanted a number <= 4096, found 4097']],
  [
    'net name',
    (f) => (f.net = 'dcnn'),
    ['net: wanted one of linear, fm, fwfm, deepfm, dcn, dlrm, two-tower, found "dcnn"'],
  ],
  ['net without layers', (f) => (f.net = { wide: true }), ['net.layers: wanted a value, found nothing']],
  [
    'cross of one',
    (f) => (f.crosses[0].fields = ['age']),
    ['crosses[0].fields: wanted at least 2 entries, found a list of 1'],
  ],
  [
    'cross with itself',
    (f) => (f.crosses[0].fields = ['age', 'age']),
    ['crosses[0].fields: wanted each entry once (0 and 1 are equal), found a list of 2'],
  ],
  [
    'too many tables',
    (f) => (f.tables = Array(65).fill(f.tables[0])),
    ['tables: wanted at most 64 entries, found a list of 65'],
  ],
  [
    'too long a row',
    (f) => (f.tables[0].embedding.dim = 1025),
    ['tables[0].embedding.dim: wanted a number <= 1024, found 1025'],
  ],
])('model file: schema: %s', (_title, change, problems) => {
  expect(changed(change)).toEqual(problems);
});

test('model file: schema: what is not an object at all', () => {
  expect(problemsOf([])).toEqual(['model file: wanted an object, found a list of 0']);
  expect(problemsOf(null)).toEqual(['model file: wanted an object, found null']);
  expect(problemsOf(JSON.parse('{"__proto__": 1}'))).toContain(
    '__proto__: wanted only $schema, name, label, timestamp, negativeRate, item, partitions, tables, fields, crosses, bias, net, loss, seed, learning, found an unknown name',
  );
});

test('model file: all problems are listed, and the message stays short', () => {
  const problems = changed((f) => {
    for (const field of f.fields) field.surplus = 1;
    for (const table of f.tables) table.surplus = 1;
    f.fields.push(...Array(20).fill({ type: 'sparse' }));
  });
  // 8 fields and 3 tables with a surplus name, 20 fields without name and table.
  expect(problems).toHaveLength(8 + 3 + 40);
  expect(() =>
    parseModelFile(exampleModel((f) => f.fields.push(...Array(30).fill({ type: 'sparse' })))),
  ).toThrow('and 40 more');
});

test('model file: canonical bytes: the order of names and $schema do not matter, everything else does', () => {
  const file = exampleModel();
  const reversed = Object.fromEntries(Object.entries(file).reverse()) as unknown as ModelFile;
  expect(Object.keys(reversed)[0]).toBe('learning');
  expect(modelFileBytes(reversed)).toEqual(modelFileBytes(file));
  expect(sameModel(file, reversed)).toBe(true);
  expect(
    sameModel(
      file,
      exampleModel((f) => delete f.$schema),
    ),
  ).toBe(true);
  expect(
    sameModel(
      file,
      exampleModel((f) => (f.tables[0].embedding.optimizer.epsilon = 2e-8)),
    ),
  ).toBe(false);
  expect(
    sameModel(
      file,
      exampleModel((f) => f.fields.reverse()),
    ),
  ).toBe(false);
});

test('model file: canonical bytes: sorted names, no blanks, UTF-8', () => {
  const file = { seed: 1, name: 'm', label: 'größe', fields: [{ type: 'sparse', name: 'a' }] };
  const text = '{"fields":[{"name":"a","type":"sparse"}],"label":"größe","name":"m","seed":1}';
  expect(Buffer.from(modelFileBytes(file as unknown as ModelFile)).toString('utf8')).toBe(text);
});
