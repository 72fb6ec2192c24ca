import { findRow, partitionRows } from '@millrace/core';
import type { OpenNet } from '@millrace/model';
import type { ModelFile } from '@millrace/protocol';
import { expect, onTestFinished, test } from 'vitest';
import { createLocalLearner, type LearnerExample, learnedHash, openLocalLearner } from '../src/index.ts';

const ads: ModelFile = {
  name: 'ads',
  label: 'y',
  partitions: 1,
  tables: [{ name: 'ids', wide: { optimizer: { type: 'sgd', learningRate: 0.5 } } }],
  fields: [{ name: 'ad', type: 'sparse', scope: 'item', table: 'ids' }],
  bias: false,
  net: 'linear',
  loss: 'logloss',
  seed: 1,
};
const deep: ModelFile = {
  ...ads,
  partitions: 3,
  tables: [
    {
      name: 'ids',
      wide: { optimizer: { type: 'newton' } },
      embedding: { dim: 3, optimizer: { type: 'adam', learningRate: 0.01 } },
    },
  ],
  net: { wide: true, layers: [{ units: 4, activation: 'tanh' }] },
};

function example(ad: string, label: 0 | 1, timeMs: number | null = null): LearnerExample {
  return { user: {}, context: {}, item: { ad }, shown: 1, clicked: label, timeMs };
}

async function opened(file: ModelFile) {
  const learner = await openLocalLearner(file, { engine: 'plain', onSkip: () => {} });
  onTestFinished(() => learner.dispose());
  return learner;
}

test('local learner: scores a batch at the weights before it and then steps each key once (by hand)', async () => {
  const learner = await opened(ads);
  learner.add(example('a', 1));
  learner.add(example('a', 1));
  expect(learner.examples).toBe(2);
  expect(learner.learn()).toBeUndefined();
  expect(Array.from(learner.logits.subarray(0, 2))).toEqual([0, 0]);
  expect(learner.lossSum()).toBeCloseTo(2 * Math.LN2, 12);
  expect(learner.examples).toBe(0);
  // w = 0 − ½ · (2 · (½ − 1)) = ½
  const [{ weights, count }] = learner.states[0].tables;
  expect([count, weights[0]]).toEqual([1, 0.5]);
  learner.add(example('a', 0));
  expect(learner.score()).toBeUndefined();
  expect(learner.logits[0]).toBe(0.5);
  expect(weights[0]).toBe(0.5);
});

test('local learner: scoring makes no row and changes nothing', async () => {
  const learner = await opened(deep);
  const before = learnedHash(learner.states, learner.net.dense);
  learner.add(example('a', 1));
  await learner.score();
  expect(learnedHash(learner.states, learner.net.dense)).toBe(before);
  expect(learner.states.reduce((rows, state) => rows + partitionRows(state), 0)).toBe(0);
});

test('local learner: a batch without an example is a bug', async () => {
  const learner = await opened(ads);
  expect(() => learner.learn()).toThrow();
  learner.add(example('a', 1));
  void learner.learn();
  expect(() => learner.learn()).toThrow();
});

test('local learner: an example that cannot be used leaves the batch as it was', async () => {
  const learner = await opened(ads);
  learner.add(example('a', 1));
  expect(() => learner.add({ ...example('a', 1), item: { ad: ['a'] } })).toThrow(/items\[1\]\.ad/);
  expect(learner.examples).toBe(1);
  void learner.learn();
  expect(learner.states[0].tables[0].weights[0]).toBe(0.25);
});

test('local learner: an engine that one has to wait for comes to the same bits', async () => {
  const [plain, waiting] = [await opened(deep), await opened(deep)];
  const program = Object.create(waiting.net.program) as OpenNet['program'];
  program.gradients = async (...args) => {
    await new Promise((resolve) => setImmediate(resolve));
    await waiting.net.program.gradients(...args);
  };
  const slow = createLocalLearner({ ...waiting.net, program }, waiting.states);
  for (let i = 0; i < 60; i += 1) {
    for (const learner of [plain, slow]) {
      learner.add(example(`a${i % 11}`, i % 3 === 0 ? 1 : 0));
      const running = learner.learn();
      expect(running === undefined).toBe(learner === plain);
      await running;
    }
  }
  expect(learnedHash(slow.states, slow.net.dense)).toBe(learnedHash(plain.states, plain.net.dense));
});

test('local learner: a key is admitted once enough examples had it, and goes when its time is over', async () => {
  const file: ModelFile = {
    ...ads,
    tables: [
      {
        ...ads.tables[0],
        admission: { type: 'count', count: 3 },
        expiry: { type: 'age', afterMs: 60_000 },
      },
    ],
  };
  const learner = await opened(file);
  const [state] = learner.states;
  const learn = (ad: string, timeMs: number, times = 1) => {
    for (let i = 0; i < times; i += 1) learner.add(example(ad, 1, timeMs));
    void learner.learn();
  };
  learn('a', 1_000_000, 2);
  expect([partitionRows(state), state.counts.notAdmitted]).toEqual([0, 1]);
  learn('a', 1_001_000);
  expect(partitionRows(state)).toBe(1);
  const [{ keys }] = state.tables;
  const [low, high] = [keys[0], keys[1]];
  learn('b', 2_000_000, 3);
  expect(findRow(state.tables[0], low, high)).toBe(-1);
  expect([partitionRows(state), state.counts.expired]).toEqual([1, 1]);
});
