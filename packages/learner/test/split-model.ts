/** A model with all that a request's items may share: keys, wide weights, a cross, numbers; learned a little, so nothing is 0. */
import type { ModelFile } from '@millrace/protocol';
import { onTestFinished } from 'vitest';
import { openLocalLearner, type RequestFeatures } from '../src/index.ts';

export const splitModel: ModelFile = {
  name: 'shop',
  label: 'click',
  partitions: 3,
  tables: [
    {
      name: 'ids',
      wide: { optimizer: { type: 'adagrad', learningRate: 0.1 } },
      embedding: { dim: 4, optimizer: { type: 'adagrad', learningRate: 0.1 } },
    },
  ],
  fields: [
    { name: 'user', type: 'sparse', scope: 'user', table: 'ids' },
    { name: 'hour', type: 'sparse', scope: 'context', table: 'ids' },
    { name: 'age', type: 'dense', scope: 'user', transform: { type: 'standardize' } },
    { name: 'ad', type: 'sparse', scope: 'item', table: 'ids' },
    { name: 'tags', type: 'multi', scope: 'item', table: 'ids' },
  ],
  crosses: [
    { name: 'user×hour', fields: ['user', 'hour'], table: 'ids' },
    { name: 'user×ad', fields: ['user', 'ad'], table: 'ids' },
  ],
  net: { wide: true, layers: [{ units: 6 }, { units: 3 }] },
  loss: 'logloss',
  seed: 3,
};

export const requestOf = (n: number, items: number): RequestFeatures => ({
  user: { user: `u${n % 7}`, age: n % 5 },
  context: { hour: n % 3 },
  items: Array.from({ length: items }, (_, i) => ({
    ad: `a${(5 * n + i) % 23}`,
    tags: [`t${i % 4}`, `t${n % 6}`],
  })),
});

export async function learnedModel() {
  const learner = await openLocalLearner(splitModel, { engine: 'plain', onSkip: () => {} });
  onTestFinished(() => learner.dispose());
  for (let n = 0; n < 200; n += 1) {
    const { user, context, items } = requestOf(n, 1);
    const [item] = [...(items as readonly Record<string, string>[])];
    learner.add({ user, context, item, shown: 1, clicked: n % 3 === 0 ? 1 : 0, timeMs: null });
    await learner.learn();
  }
  return learner;
}
