/** Models that simulations learn: two that count, one with all kinds of weights; their join windows close within seconds. */
import type { LearningSpec, ModelFile } from '@millrace/protocol';
import { countingModel } from '../counting-model.ts';
import type { SimulationReport } from './simulation.ts';

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
    tables: [{ name: 'features', wide: { optimizer }, embedding: { dim: 4, optimizer } }],
    fields: [
      { name: 'user', type: 'sparse', scope: 'user', table: 'features' },
      { name: 'item', type: 'sparse', scope: 'item', table: 'features' },
    ],
    net: { wide: true, fm: true, layers: [{ units: 6 }] },
    loss: 'logloss',
    seed: 5,
    learning,
  },
};

/** A report as one line; its first word replays it. */
export function reportLine({ violations, stateHash, seed, ...counts }: SimulationReport): string {
  const figures = Object.entries(counts).map(([name, value]) => `${name} ${value}`);
  const verdict = violations.length === 0 ? 'ok' : `BROKEN: ${violations.join('; ')}`;
  return `SEED=${seed} ${figures.join(', ')}, state ${stateHash.slice(0, 12)}, ${verdict}`;
}
