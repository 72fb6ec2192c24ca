/** The nets that are measured: ten fields, six of the request and four of an item, with embeddings of 16. */
import type { FieldSpec, ModelFile, NetSpec } from '@millrace/protocol';

const adagrad = { type: 'adagrad', learningRate: 0.1 } as const;
const fields: readonly FieldSpec[] = [
  ...['user', 'segment', 'country'].map(
    (name) => ({ name, type: 'sparse', scope: 'user', table: 'ids' }) as const,
  ),
  ...['hour', 'device', 'placement'].map(
    (name) => ({ name, type: 'sparse', scope: 'context', table: 'ids' }) as const,
  ),
  ...['item', 'category', 'brand', 'shop'].map(
    (name) => ({ name, type: 'sparse', scope: 'item', table: 'ids' }) as const,
  ),
];

function modelOf(name: string, net: NetSpec): ModelFile {
  return {
    name,
    label: 'click',
    item: 'item',
    partitions: 16,
    tables: [
      {
        name: 'ids',
        wide: { optimizer: adagrad },
        embedding: { dim: 16, optimizer: adagrad, initializer: { type: 'uniform', scale: 0.1 } },
      },
    ],
    fields,
    net,
    loss: 'logloss',
    seed: 1,
  };
}

export const nets: readonly ModelFile[] = [
  modelOf('layers 64, 32', { wide: true, layers: [{ units: 64 }, { units: 32 }] }),
  modelOf('layers 128, 64', { wide: true, layers: [{ units: 128 }, { units: 64 }] }),
  modelOf('layers 256, 128', { wide: true, layers: [{ units: 256 }, { units: 128 }] }),
  modelOf('towers 64, 32', {
    wide: true,
    towers: { layers: [{ units: 64 }, { units: 32, activation: 'linear' }] },
    layers: [],
  }),
  modelOf('fm', 'fm'),
];
