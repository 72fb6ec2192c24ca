/** A model file that uses every property of the format, and a way to change one thing in it. */
import type { ModelFile } from '@millrace/protocol';

/** @param change is applied to a fresh copy. */
export function exampleModel(change: (file: Loose) => void = () => {}): ModelFile {
  const file = structuredClone(full) as unknown as Loose;
  change(file);
  return file as unknown as ModelFile;
}

/** A model file that a test may bend out of shape. */
// biome-ignore lint/suspicious/noExplicitAny: the tests write what the types forbid.
export type Loose = any;

const full: ModelFile = {
  $schema: '../docs/model.schema.json',
  name: 'shop',
  label: 'clicked',
  timestamp: 'time',
  item: 'product',
  partitions: 32,
  tables: [
    {
      name: 'ids',
      wide: {
        optimizer: { type: 'ftrl', alpha: 0.1, beta: 1, l1: 0, l2: 0 },
        initializer: { type: 'zeros' },
      },
      embedding: {
        dim: 8,
        optimizer: { type: 'adagrad', learningRate: 0.05, initialAccumulator: 1, epsilon: 1e-8 },
        initializer: { type: 'uniform', scale: 0.02 },
      },
    },
    {
      name: 'tags',
      embedding: {
        dim: 8,
        optimizer: { type: 'rowwise-adagrad', learningRate: 0.05, initialAccumulator: 0.1, epsilon: 1e-8 },
        initializer: { type: 'constant', value: 0.5 },
      },
    },
    { name: 'pairs', wide: { optimizer: { type: 'newton', lambda: 1, c: 0.7 } } },
  ],
  fields: [
    { name: 'user', type: 'sparse', scope: 'user', table: 'ids' },
    { name: 'product', type: 'sparse', scope: 'item', table: 'ids' },
    { name: 'tags', type: 'multi', scope: 'item', table: 'tags', separator: ',', pooling: 'sqrtn' },
    {
      name: 'history',
      type: 'sequence',
      scope: 'user',
      table: 'ids',
      separator: ' ',
      pooling: 'mean',
      lengthMax: 20,
      sharesKeysOf: 'product',
    },
    { name: 'price', type: 'dense', scope: 'item', transform: { type: 'log1p' } },
    {
      name: 'age',
      type: 'dense',
      scope: 'user',
      transform: { type: 'bucket', boundaries: [18, 30, 50] },
      table: 'ids',
    },
    {
      name: 'rating',
      type: 'dense',
      scope: 'item',
      transform: { type: 'standardize', mean: 3, deviation: 1.5 },
      table: 'tags',
    },
    { name: 'stock', type: 'dense', transform: { type: 'none' } },
  ],
  crosses: [{ name: 'user-age', fields: ['product', 'age'], table: 'pairs' }],
  bias: true,
  net: {
    wide: true,
    fm: true,
    layers: [{ units: 16, activation: 'tanh' }, { units: 8 }],
    optimizer: { type: 'adam', learningRate: 0.002, beta1: 0.9, beta2: 0.99, epsilon: 1e-8 },
  },
  loss: 'logloss',
  seed: 42,
  learning: { joinWindowMs: 60_000, batchExamplesMax: 256, batchDelayMs: 10 },
};
