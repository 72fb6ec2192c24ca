import type { LearningSpec } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { brokenRules } from '../src/model-rules.ts';
import { exampleModel, type Loose } from './example-model.ts';

const noLayers = { wide: true, fm: true, layers: [] };
const attention = [{ sequence: 'history', target: 'product' }];
const noNumbers = [4, 7].map(
  (i) =>
    `fields[${i}].table: wanted a table, since the net has no layers that could read the number, found nothing`,
);

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
    ['net: wanted wide, fm, fwfm, layers, dots, cross, towers or import, found {"layers":[]}'],
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
    [`net: wanted at most 1000000 parameters, found ${51 * 4096 + 4096 + 4096 * 300 + 300 + 300 + 1}`],
  ],
  [
    'dense weights by Newton steps',
    (f) => (f.net.optimizer = { type: 'newton' }),
    ['net.optimizer.type: wanted an optimizer that needs no curvature, found "newton"'],
  ],
  [
    'pair weights by Newton steps',
    (f) => (f.net = { ...noLayers, fwfm: true, optimizer: { type: 'newton' } }),
    [...noNumbers, 'net.optimizer.type: wanted an optimizer that needs no curvature, found "newton"'],
  ],
  [
    'fwfm and dots over two dims',
    (f) => {
      f.net = { fwfm: true, dots: true, wide: true, layers: [{ units: 2 }] };
      f.tables[1].embedding.dim = 4;
    },
    [
      'tables[1].embedding.dim: wanted 8, since fwfm needs one dim, found 4',
      'tables[1].embedding.dim: wanted 8, since dots needs one dim, found 4',
    ],
  ],
  [
    'dots over one embedding',
    (f) => {
      f.net = { wide: true, dots: true, layers: [] };
      f.fields = [...f.fields.slice(1, 2), f.fields[4]];
      f.crosses = [];
    },
    ['net: wanted two or more fields with embeddings for dots, found 1'],
  ],
  [
    'a cross network over nothing',
    (f) => {
      f.net = { wide: true, cross: { layers: 1 }, layers: [] };
      delete f.tables[0].embedding;
      f.fields = f.fields.slice(0, 2);
      f.crosses = [];
    },
    ['net: wanted fields with embeddings or dense fields to read, found nothing'],
  ],
  [
    'a rank beyond the inputs',
    (f) => (f.net.cross = { layers: 1, rank: 52 }),
    ['net.cross.rank: wanted at most 51, the inputs of the layers, found 52'],
  ],
  [
    'a parallel cross network beside nothing',
    (f) => (f.net = { wide: true, cross: { layers: 1, structure: 'parallel' }, layers: [] }),
    ['net.cross.structure: wanted stacked, since no layers stand beside it, found "parallel"'],
  ],
  [
    'a full cross matrix too large for one message',
    (f) => {
      f.net = { wide: true, cross: { layers: 2 }, layers: [] };
      f.tables[0].embedding.dim = 160;
      f.tables[1].embedding.dim = 160;
    },
    [`net: wanted at most 1000000 parameters, found ${2 * (963 * 963 + 963) + 963 + 1}`],
  ],
  [
    'attention that nothing reads',
    (f) => {
      f.net = { wide: true, attention, layers: [] };
      f.fields = f.fields.filter(({ name }: Loose) => ['user', 'product', 'history'].includes(name));
      f.crosses = [];
    },
    ['net.attention: wanted fm, fwfm, layers or towers to read what it pools, found nothing'],
  ],
  [
    'attention over a list',
    (f) => (f.net.attention = [{ sequence: 'tags', target: 'product' }]),
    ['net.attention[0].sequence: wanted a sequence field with an embedding, found "tags"'],
  ],
  [
    'attention by a list, over a sequence that is pooled',
    (f) => (f.net.attention = [{ sequence: 'history', target: 'tags' }]),
    [
      'fields[3].pooling: wanted no pooling, since attention does it, found "mean"',
      'net.attention[0].target: wanted a sparse field with an embedding, found "tags"',
    ],
  ],
  [
    'attention by a field of another dim',
    (f) => {
      f.net = { attention, wide: true, layers: [{ units: 2 }] };
      f.tables[1].embedding.dim = 4;
      f.fields[1].table = 'tags';
      delete f.fields[3].sharesKeysOf;
      delete f.fields[3].pooling;
    },
    ['net.attention[0].target: wanted a field of dim 8, as history has, found "product"'],
  ],
  [
    'two that attend one sequence',
    (f) => {
      f.net.attention = [...attention, ...attention];
      delete f.fields[3].pooling;
    },
    ['net.attention[1].sequence: wanted a sequence that nothing else attends, found "history"'],
  ],
  [
    'attention across towers that nothing else reads',
    (f) => {
      f.net = { wide: true, attention, towers: { layers: [{ units: 2 }] }, layers: [] };
      delete f.fields[3].pooling;
    },
    ['net.attention[0].target: wanted a field of the tower that reads history, found "product"'],
  ],
  [
    'towers without a field of the item',
    (f) => {
      f.net = 'two-tower';
      f.fields = [f.fields[0], { ...f.fields[1], scope: 'user' }];
      f.crosses = [];
      delete f.item;
    },
    ['net.towers: wanted an item field that a tower can read, found nothing'],
  ],
  [
    'towers without a field of the user',
    (f) => {
      f.net = 'two-tower';
      f.fields = [f.fields[1]];
      f.crosses = [];
    },
    ['net.towers: wanted a user or context field that a tower can read, found nothing'],
  ],
  [
    'a cross of both sides that towers alone could read',
    (f) => {
      f.net = 'two-tower';
      f.crosses[0].table = 'tags';
    },
    [
      'crosses[0].table: wanted a table with a wide weight, since towers read no cross of both sides, found "tags"',
    ],
  ],
  [
    'a precision of no wide weight',
    (f) => (f.tables[1].precision = { prior: 1 }),
    ['tables[1].precision: wanted a wide weight that the net reads, whose precision it is, found nothing'],
  ],
  [
    'a row of 1,025 floats with its precision',
    (f) => {
      f.tables[2].embedding = { dim: 1023, optimizer: { type: 'sgd', learningRate: 1 } };
      f.tables[2].precision = { prior: 1 };
      f.net.fm = false;
    },
    ['tables[2]: wanted rows of at most 1024 floats, found 1025'],
  ],
  [
    'a mean without a deviation',
    (f) => delete f.fields[6].transform.deviation,
    ['fields[6].transform.deviation: wanted mean and deviation, or neither, found nothing'],
  ],
  [
    'a shared key space of two sizes',
    (f) => (f.fields[1].buckets = 100),
    ['fields[3].buckets: wanted 100, as product has it, whose keys it shares, found nothing'],
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

test('model rules: kinds of outcomes have names of their own, and fake negatives take one of weight 1', () => {
  const of = (learning: LearningSpec) => brokenRules({ ...exampleModel(() => {}), learning });
  expect(of({ outcomes: [{ name: 'click' }, { name: 'click' }] })).toEqual([
    'learning.outcomes[1].name: wanted a name other than that of learning.outcomes[0], found "click"',
  ]);
  const latePositives = 'fake-negative-weighted';
  expect(of({ latePositives })).toEqual([]);
  expect(of({ latePositives, outcomes: [{ name: 'sale', weight: 1, valueMin: 0 }] })).toEqual([]);
  for (const outcomes of [[{ name: 'sale', weight: 2 }], [{ name: 'click' }, { name: 'sale' }]]) {
    expect(of({ latePositives, outcomes })).toMatchObject([
      expect.stringContaining('learning.outcomes: wanted one kind of weight 1 where late positives'),
    ]);
  }
});
