/** Models that simulations learn: two that count, one with all kinds of weights and rows that come and go; their join windows close within seconds. */
import type { LearningSpec, ModelFile } from '@millrace/protocol';
import { countingModel } from '../counting-model.ts';
import type { Random } from './random.ts';

const learning: LearningSpec = { joinWindowMs: 2_000, batchDelayMs: 20, batchExamplesMax: 16 };
const optimizer = { type: 'adagrad', learningRate: 0.1 } as const;

export const simulationModels: Readonly<Record<'after-window' | 'at-once' | 'dense', ModelFile>> = {
  'after-window': countingModel('sim', learning),
  'at-once': countingModel('sim', { ...learning, negatives: 'at-once' }),
  dense: {
    name: 'sim',
    label: 'click',
    item: 'item',
    partitions: 3,
    tables: [
      {
        name: 'users',
        admission: { type: 'count', count: 2 },
        wide: { optimizer },
        embedding: { dim: 4, optimizer: { type: 'adam', learningRate: 0.05 } },
      },
      // A run covers about a minute, so some items go in it.
      {
        name: 'items',
        expiry: { type: 'age', afterMs: 10_000 },
        wide: { optimizer },
        embedding: { dim: 4, optimizer },
      },
    ],
    fields: [
      { name: 'user', type: 'sparse', scope: 'user', table: 'users' },
      { name: 'item', type: 'sparse', scope: 'item', table: 'items' },
    ],
    net: { wide: true, fm: true, layers: [{ units: 6 }] },
    loss: 'logloss',
    seed: 5,
    learning,
  },
};

/** A model of few partitions: any one, or the one with dense weights. */
export function modelFrom(random: Random, which: 'any' | 'dense'): ModelFile {
  const name = random.pick(['after-window', 'at-once', 'dense', 'dense'] as const);
  return { ...simulationModels[which === 'dense' ? 'dense' : name], partitions: 3 + random.whole(5) };
}
