/** Model files and table layouts for tests, small and of every kind. */
import type { InitializerSpec, ModelFile, OptimizerSpec, TableSpec } from '@millrace/protocol';
import { type TableLayout, tableLayouts } from '../src/table-layout.ts';

export const optimizerSpecs: readonly OptimizerSpec[] = [
  { type: 'sgd', learningRate: 0.05 },
  { type: 'adagrad', learningRate: 0.05 },
  { type: 'rowwise-adagrad', learningRate: 0.05 },
  { type: 'adam', learningRate: 0.01 },
  { type: 'ftrl', alpha: 0.1, l1: 0.01, l2: 0.1 },
  { type: 'newton' },
];

/** A model of tables of every form: wide and embedding, wide alone, embedding alone. */
export const everyTableFile: ModelFile = {
  name: 'ads',
  label: 'click',
  partitions: 4,
  tables: [
    {
      name: 'users',
      wide: { optimizer: { type: 'ftrl', alpha: 0.1 } },
      embedding: { dim: 3, optimizer: { type: 'adagrad', learningRate: 0.05 } },
    },
    { name: 'bias', wide: { optimizer: { type: 'sgd', learningRate: 0.1 } } },
    { name: 'items', embedding: { dim: 2, optimizer: { type: 'adam', learningRate: 0.01 } } },
  ],
  fields: [{ type: 'sparse', name: 'user', scope: 'user', table: 'users' }],
  net: 'deepfm',
  loss: 'logloss',
  seed: 7,
};

/** `file` with other tables. */
export function withTables(tables: readonly TableSpec[], seed = 7): ModelFile {
  return { ...everyTableFile, tables, seed };
}

/** Layout of one table with an embedding of `dim` floats alone. */
export function embeddingLayout(
  dim: number,
  optimizer: OptimizerSpec = { type: 'sgd', learningRate: 0.1 },
  initializer: InitializerSpec = { type: 'uniform', scale: 1 },
): TableLayout {
  return tableLayouts(withTables([{ name: 'items', embedding: { dim, optimizer, initializer } }]))[0];
}
