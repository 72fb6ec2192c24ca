import { expect, test } from 'vitest';
import { brokenRules } from '../src/model-rules.ts';
import { exampleModel, type Loose } from './example-model.ts';

const noLayers = { wide: true, fm: true, layers: [] };

test('model rules: a sound file breaks none', () => {
  expect(brokenRules(exampleModel())).toEqual([]);
});

test.each<[string, (file: Loose) => void, string[]]>([
  [
    'unknown table of a field',
    (f) => (f.fields[0].table = 'id'),
    ['fields[0].table: wanted one of ids, tags, pairs, found "id"'],
  ],
  [
    'unknown table of a cross',
    (f) => (f.crosses[0].table = 'x'),
    ['crosses[0].table: wanted one of ids, tags, pairs, found "x"'],
  ],
  [
    'two tables of one name',
    (f) => (f.tables[2].name = 'tags'),
    [
      'tables[2].name: wanted a name other than that of tables[1], found "tags"',
      'crosses[0].table: wanted one of ids, tags, tags, found "pairs"',
    ],
  ],
  [
    'a cross named like a field',
    (f) => (f.crosses[0].name = 'age'),
    ['crosses[0].name: wanted a name other than that of fields[5], found "age"'],
  ],
  [
    'the label as a feature',
    (f) => (f.fields[4].name = 'clicked'),
    ['fields[4].name: wanted a column other than the label, found "clicked"'],
  ],
  [
    'a table without weights',
    (f) => delete f.tables[2].wide,
    ['tables[2]: wanted wide, embedding or both, found {"name":"pairs"}'],
  ],
  [
    'a sketch whose cells are no power of two',
    (f) => {
      f.tables[0].admission = { type: 'count', count: 3, counter: 'sketch', cells: 100 };
      f.tables[1].admission = { type: 'count', count: 3, counter: 'sketch', cells: 128 };
    },
    ['tables[0].admission.cells: wanted a power of two, found 100'],
  ],
  [
    'a row of 1,025 floats',
    (f) => {
      f.tables[0].embedding.dim = 1024;
      f.tables[1].embedding.dim = 1024;
      f.net.layers = [];
    },
    [
      'tables[0]: wanted rows of at most 1024 floats, found 1025',
      'fields[4].table: wanted a table, since the net has no layers that could read the number, found nothing',
      'fields[7].table: wanted a table, since the net has no layers that could read the number, found nothing',
    ],
  ],
  [
    'a bucket without a table',
    (f) => delete f.fields[5].table,
    ['fields[5].table: wanted a table for the buckets, found nothing'],
  ],
  [
    'boundaries that do not ascend',
    (f) => (f.fields[5].transform.boundaries = [1, 5, 5]),
    ['fields[5].transform.boundaries[2]: wanted a number above 5, for boundaries ascend, found 5'],
  ],
  [
    'keys shared with an unknown field',
    (f) => (f.fields[3].sharesKeysOf = 'films'),
    ['fields[3].sharesKeysOf: wanted another sparse, multi or sequence field, found "films"'],
  ],
  [
    'keys shared with itself',
    (f) => (f.fields[3].sharesKeysOf = 'history'),
    ['fields[3].sharesKeysOf: wanted another sparse, multi or sequence field, found "history"'],
  ],
  [
    'keys shared with a number',
    (f) => (f.fields[3].sharesKeysOf = 'age'),
    ['fields[3].sharesKeysOf: wanted another sparse, multi or sequence field, found "age"'],
  ],
  [
    'keys shared in a chain',
    (f) => (f.fields[1].sharesKeysOf = 'user'),
    ['fields[3].sharesKeysOf: wanted a field that does not itself share keys, found "product"'],
  ],
  [
    'keys shared across tables',
    (f) => (f.fields[3].table = 'tags'),
    ['fields[3].sharesKeysOf: wanted a field of table tags, found "product"'],
  ],
  [
    'a cross of an unknown field',
    (f) => (f.crosses[0].fields = ['product', 'brand']),
    ['crosses[0].fields[1]: wanted a sparse, multi, sequence or bucketed field, found "brand"'],
  ],
  [
    'a cross of a number',
    (f) => (f.crosses[0].fields = ['rating', 'age']),
    ['crosses[0].fields[0]: wanted a sparse, multi, sequence or bucketed field, found "rating (a number)"'],
  ],
  [
    'an unknown item',
    (f) => (f.item = 'film'),
    ['item: wanted the name of a sparse field with scope item, found "film"'],
  ],
  [
    'an item of the user',
    (f) => (f.item = 'user'),
    ['item: wanted the name of a sparse field with scope item, found "user"'],
  ],
  [
    'an item of many values',
    (f) => (f.item = 'tags'),
    ['item: wanted the name of a sparse field with scope item, found "tags"'],
  ],
  [
    'a field that the net cannot read',
    (f) => {
      f.net = 'linear';
      f.fields = f.fields.slice(0, 3);
      f.crosses = [];
    },
    ['fields[2].table: wanted a table with a wide weight, since the net reads nothing else, found "tags"'],
  ],
  [
    'a cross that the net cannot read',
    (f) => {
      f.net.wide = false;
      f.bias = false;
    },
    ['crosses[0].table: wanted a table with an embedding, since the net reads nothing else, found "pairs"'],
  ],
  [
    'a net of nothing',
    (f) => {
      f.net = { layers: [] };
      f.fields = [];
      f.crosses = [];
      delete f.item;
      delete f.bias;
    },
    ['net: wanted wide, fm or layers, found {"layers":[]}'],
  ],
  [
    'wide without a wide weight',
    (f) => {
      delete f.tables[0].wide;
      f.tables.pop();
      f.crosses = [];
      delete f.bias;
    },
    ['net: wanted a table with a wide weight for it, found nothing'],
  ],
  [
    'a bias without wide',
    (f) => {
      f.net.wide = false;
      f.crosses = [];
    },
    ['bias: wanted false, since the net has no wide weights, found true'],
  ],
  [
    'fm over one embedding',
    (f) => {
      f.net = noLayers;
      f.fields = f.fields.slice(1, 2);
      f.crosses = [];
    },
    ['net: wanted two or more fields with embeddings for fm, found 1'],
  ],
  [
    'fm over two dims',
    (f) => (f.tables[1].embedding.dim = 4),
    ['tables[1].embedding.dim: wanted 8, since fm needs one dim, found 4'],
  ],
  [
    'layers over nothing',
    (f) => {
      f.net = { wide: true, layers: [{ units: 2 }] };
      delete f.tables[0].embedding;
      f.fields = f.fields.slice(0, 2);
      f.crosses = [];
    },
    ['net.layers: wanted fields with embeddings or dense fields to read, found nothing'],
  ],
  [
    // Inputs: seven embeddings of 8 and three dense fields, of which the bucketed one is not a number any more.
    'a net too large for one message',
    (f) => (f.net.layers = [{ units: 4096 }, { units: 300 }]),
    [`net.layers: wanted at most 1000000 parameters, found ${51 * 4096 + 4096 + 4096 * 300 + 300 + 300 + 1}`],
  ],
  [
    'dense weights by Newton steps',
    (f) => (f.net.optimizer = { type: 'newton' }),
    ['net.optimizer.type: wanted an optimizer that needs no curvature, found "newton"'],
  ],
])('model rules: %s', (_title, change, problems) => {
  expect(brokenRules(exampleModel(change))).toEqual(problems);
});

test('model rules: at most 256 fields and crosses together', () => {
  const file = exampleModel((f) => {
    for (let i = 0; i < 248; i++) f.fields.push({ name: `extra${i}`, type: 'sparse', table: 'ids' });
  });
  // 8 + 248 fields and one cross.
  expect(brokenRules(file)).toEqual(['fields: wanted at most 256 fields and crosses, found 257']);
});

test('model rules: layers need no embeddings when there are dense fields, and no wide weights', () => {
  const file = exampleModel((f) => {
    f.net = { layers: [{ units: 2 }] };
    f.tables = [];
    f.fields = [{ name: 'price', type: 'dense' }];
    f.crosses = [];
    delete f.item;
    delete f.bias;
  });
  expect(brokenRules(file)).toEqual([]);
});
