/** Logs that are made up so that what learning them gives is known before. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fmix } from '@millrace/core';
import type { ModelFile } from '@millrace/protocol';
import { onTestFinished } from 'vitest';
import { openLearner } from '../../src/training/open-learner.ts';

/** One key a user, one an item, one a pair: more than enough to remember every example of a small log. */
export const ads: ModelFile = {
  name: 'ads',
  label: 'label',
  timestamp: 'timestamp',
  item: 'item',
  partitions: 3,
  tables: [
    { name: 'ids', wide: { optimizer: { type: 'adagrad', learningRate: 0.3, initialAccumulator: 1 } } },
  ],
  fields: [
    { name: 'user', type: 'sparse', scope: 'user', table: 'ids' },
    { name: 'item', type: 'sparse', scope: 'item', table: 'ids' },
  ],
  net: 'linear',
  loss: 'logloss',
  seed: 4,
};

/** The same with dense weights and embeddings. */
export const deep: ModelFile = {
  ...ads,
  tables: [
    {
      name: 'ids',
      wide: { optimizer: { type: 'newton' } },
      embedding: { dim: 2, optimizer: { type: 'adam', learningRate: 0.01 } },
    },
  ],
  net: { wide: true, fm: true, layers: [{ units: 4, activation: 'tanh' }] },
};

/** `coin`: labels that depend on nothing. `item`: even items are clicked four times in five, odd ones once in five. */
export type Labels = 'coin' | 'item';

export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'mill-training-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export async function writeLog(folder: string, labels: Labels, count: number, name = 'log.csv') {
  const lines = ['timestamp,label,user,item'];
  for (let i = 0; i < count; i += 1) {
    const [user, item, draw] = [fmix(3 * i) % 30, fmix(3 * i + 1) % 30, fmix(3 * i + 2) % 10];
    const clicks = labels === 'coin' ? draw < 5 : item % 2 === 0 ? draw < 8 : draw < 2;
    lines.push(`${1_700_000_000 + i},${clicks ? 1 : 0},u${user},i${item}`);
  }
  const path = join(folder, name);
  await writeFile(path, `${lines.join('\n')}\n`);
  return { path, format: undefined, strict: false } as const;
}

export async function freshLearner(file: ModelFile) {
  const learner = await openLearner({ file, engine: 'plain', batchExamples: 1 });
  onTestFinished(() => learner.dispose());
  return learner;
}
