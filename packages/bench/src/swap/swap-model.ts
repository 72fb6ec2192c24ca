/** The model that is swapped, the weights of its versions, and the requests that are sent. */
import { initialDense } from '@millrace/model';
import type { ModelFile, ScoreRequest } from '@millrace/protocol';
import { uniformAt } from '@millrace/traffic';

export const swapModel: ModelFile = {
  name: 'swap',
  label: 'clicked',
  item: 'item',
  partitions: 8,
  tables: [
    {
      name: 'ids',
      wide: { optimizer: { type: 'adagrad', learningRate: 0.05 } },
      embedding: { dim: 16, optimizer: { type: 'adagrad', learningRate: 0.05 } },
    },
  ],
  fields: [
    { name: 'user', type: 'sparse', scope: 'user', table: 'ids' },
    { name: 'item', type: 'sparse', scope: 'item', table: 'ids' },
    { name: 'price', type: 'dense', scope: 'item' },
  ],
  net: {
    wide: true,
    layers: [
      { units: 256, activation: 'relu' },
      { units: 128, activation: 'relu' },
    ],
    optimizer: { type: 'sgd', learningRate: 0.001 },
  },
  loss: 'logloss',
  seed: 7,
};

/** Uses of randomness here. */
const streamOf = { weights: 301, prices: 302 };

/** Dense weights of version `version`: the initial ones, each moved by up to ±0.05. */
export function weightsOf(version: number): Float32Array {
  return initialDense(swapModel).weights.map(
    (weight, i) => weight + 0.1 * (uniformAt(version, streamOf.weights, i) - 0.5),
  );
}

/** Requests that differ in every item; none is logged, so no row learns and a score depends on dense weights alone. */
export function requestsOf(count: number, items: number): readonly ScoreRequest[] {
  return Array.from({ length: count }, (_, r) => ({
    model: swapModel.name,
    log: false,
    user: { user: `u${r}` },
    items: Array.from({ length: items }, (_item, i) => ({
      item: `i${r}-${i}`,
      price: uniformAt(r, streamOf.prices, i),
    })),
  }));
}
