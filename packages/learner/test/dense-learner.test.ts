import { openNetOn, sigmoid } from '@millrace/model';
import type { ModelFile } from '@millrace/protocol';
import { expect, onTestFinished, test } from 'vitest';
import { createDenseLearner, openLocalLearner } from '../src/index.ts';

const file: ModelFile = {
  name: 'ads',
  label: 'y',
  partitions: 3,
  tables: [{ name: 'ids', embedding: { dim: 3, optimizer: { type: 'adagrad', learningRate: 0.1 } } }],
  fields: [
    { name: 'user', type: 'sparse', scope: 'user', table: 'ids' },
    { name: 'price', type: 'dense', scope: 'item', transform: { type: 'standardize' } },
  ],
  net: { layers: [{ units: 4, activation: 'tanh' }], optimizer: { type: 'adam', learningRate: 0.05 } },
  loss: 'logloss',
  seed: 5,
};

async function opened(mask: Uint8Array | null = null) {
  const teacher = await openLocalLearner(file, { engine: 'plain', onSkip: () => {} });
  const net = openNetOn(teacher.net.engine, file);
  onTestFinished(() => {
    net.dispose();
    teacher.dispose();
  });
  const student = createDenseLearner(net, mask);
  const shown = new Float32Array(8).fill(1);
  const targets = new Float32Array(8);
  const offsets = new Float32Array(8);
  const learnBatch = async (n: number) => {
    for (let i = 0; i < 8; i += 1) {
      const label = ((n * 8 + i) % 3 === 0 ? 1 : 0) as 0 | 1;
      const weight = label === 1 ? 2.5 : 1;
      const item = { price: (n * 5 + i * 3) % 11 };
      teacher.add({
        user: { user: `u${(n + i) % 5}` },
        context: {},
        item,
        shown: weight,
        clicked: weight * label,
        timeMs: null,
      });
      shown[i] = weight;
      targets[i] = weight * label;
    }
    await teacher.learn();
    await student.learn(teacher.space, { shown, clicked: targets, offsets });
  };
  return { teacher, student, learnBatch, shown, targets, offsets };
}

test('dense learner: beside a learner of the same net it learns the same dense weights, to the bit', async () => {
  const { teacher, student, learnBatch } = await opened();
  const start = student.net.dense.weights.slice();
  for (let n = 0; n < 5; n += 1) await learnBatch(n);
  expect(student.net.dense.weights).not.toEqual(start);
  expect(student.net.dense.weights).toEqual(teacher.net.dense.weights);
  expect(student.net.versions.current.version).toBe(5);
});

test('dense learner: what is masked stays 0 and the rest learns', async () => {
  const parameters = 4 * 4 + 4 + 4 + 1;
  const mask = Uint8Array.from({ length: parameters }, (_, i) => i % 2);
  const { student, learnBatch } = await opened(mask);
  for (let n = 0; n < 3; n += 1) await learnBatch(n);
  const { weights } = student.net.dense;
  for (let i = 0; i < parameters; i += 1) expect(weights[i] === 0).toBe(mask[i] === 0);
});

test('dense learner: learns the scores of another net as well as labels, under offsets', async () => {
  const { teacher, student, shown, targets, offsets } = await opened();
  // A target of ½ at an offset of 2 is met by a logit of −2, whatever the features are.
  offsets.fill(2);
  targets.fill(0.5);
  for (let n = 0; n < 400; n += 1) {
    for (let i = 0; i < 8; i += 1)
      teacher.add({ user: { user: `u${i}` }, context: {}, item: {}, shown: 1, clicked: 0, timeMs: null });
    await teacher.score();
    await student.learn(teacher.space, { shown, clicked: targets, offsets });
  }
  const { space } = teacher;
  const { loaded } = student.net.versions.current;
  const input = { ...space, rows: 8, lengths: space.batch.lengths, dense: space.dense };
  await student.net.program.forward(loaded, input, space.logits);
  for (let i = 0; i < 8; i += 1) expect(sigmoid(space.logits[i] + 2)).toBeCloseTo(0.5, 2);
});
