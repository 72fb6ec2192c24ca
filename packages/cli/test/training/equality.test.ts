/** A learner in one process against the real path: event log, joiner, trainer, blocks, folds. */
import { createProgressiveQuality, rowsHash } from '@millrace/core';
import { learnedHash, openLocalLearner } from '@millrace/learner';
import type { ModelFile, OptimizerSpec } from '@millrace/protocol';
import { createLogger } from '@millrace/runtime';
import { expect, onTestFinished, test } from 'vitest';
import type { Example } from '../../src/log-file/index.ts';
import { createJudgedBatches } from '../../src/training/judged-batches.ts';
import { labelLessonsOf, lineRequestId } from '../../src/training/label-lessons.ts';
import { openSingleProcessCluster } from '../single-process-cluster.ts';

const fields: ModelFile['fields'] = [
  { name: 'user', type: 'sparse', scope: 'user', table: 'ids' },
  { name: 'hour', type: 'sparse', table: 'ids' },
  { name: 'item', type: 'sparse', scope: 'item', table: 'ids' },
  { name: 'tags', type: 'multi', scope: 'item', table: 'ids', pooling: 'mean' },
];
const common = { label: 'click', item: 'item', partitions: 5, fields, loss: 'logloss', seed: 3 } as const;
const wide = (optimizer: OptimizerSpec) => [{ name: 'ids', wide: { optimizer } }];
const newton: OptimizerSpec = { type: 'newton', c: 0.7 };
const ftrl: OptimizerSpec = { type: 'ftrl', alpha: 0.1, l1: 0.01 };
const adagrad: OptimizerSpec = { type: 'adagrad', learningRate: 0.1 };
const embedding = { dim: 4, optimizer: { type: 'adam', learningRate: 0.01 } } as const;

const models: readonly ModelFile[] = [
  { ...common, name: 'newton', tables: wide(newton), net: 'linear' },
  { ...common, name: 'ftrl', tables: wide(ftrl), net: 'linear' },
  { ...common, name: 'fm', tables: [{ name: 'ids', wide: { optimizer: newton }, embedding }], net: 'fm' },
  {
    ...common,
    name: 'deepfm',
    tables: [
      { name: 'ids', wide: { optimizer: adagrad }, embedding },
      { name: 'pairs', wide: { optimizer: ftrl } },
    ],
    fields: [...fields, { name: 'price', type: 'dense', scope: 'item', transform: { type: 'log1p' } }],
    crosses: [{ name: 'user-item', fields: ['user', 'item'], table: 'pairs' }],
    net: 'deepfm',
  },
  {
    ...common,
    name: 'weighted',
    tables: [{ name: 'ids', wide: { optimizer: newton }, embedding }],
    net: 'fm',
    learning: { outcomes: [{ name: 'view' }, { name: 'click', weight: 2.5 }] },
  },
  {
    ...common,
    name: 'amounts',
    label: 'buy',
    tables: wide(ftrl),
    net: 'linear',
    learning: {
      negativeRate: 0.7,
      outcomes: [
        { name: 'click' },
        { name: 'buy', weight: 3, valueWeight: 'log1p', valueMin: 20, valueMax: 50 },
      ],
    },
  },
  {
    ...common,
    name: 'sampled',
    tables: [{ name: 'ids', wide: { optimizer: adagrad }, embedding }],
    fields: [...fields, { name: 'price', type: 'dense', scope: 'item', transform: { type: 'standardize' } }],
    net: 'deepfm',
    learning: { negativeRate: 0.3 },
  },
];

/** Examples with repeated and fresh values, some of them missing; integer hashes, so the same each time. */
function exampleOf(i: number, model: string, hasPrice: boolean): Example {
  const mixed = (by: number) => (Math.imul(i + 1, by) >>> 8) % 997;
  const label = mixed(0x9e3779b1) % 3 === 0 ? 1 : 0;
  const item = {
    item: `i${mixed(0x27d4eb2f) % 60}`,
    tags: i % 7 === 0 ? null : [`t${i % 5}`, `t${mixed(0x165667b1) % 9}`],
    ...(hasPrice ? { price: mixed(0x2545f491) / 10 } : {}),
  };
  const user = { user: `u${mixed(0x85ebca6b) % 20}` };
  const context = { hour: mixed(0xc2b2ae35) % 24 };
  const request = { model, user, context, items: [item] };
  return { line: i + 1, request, label, timeMs: 1_000_000 + 1_000 * i };
}

test.each(models.flatMap((file) => [1, 16].map((batch) => ({ name: file.name, batch, file }))))(
  'local learner: $name in batches of $batch: rows, optimizer state, dense weights and scores are those of the cluster',
  async ({ file, batch }) => {
    const count = batch === 1 ? 150 : 400;
    const cluster = await openSingleProcessCluster({
      file,
      engine: 'plain',
      logger: createLogger({ service: 'test', level: 'silent' }),
      startMs: 0,
      batchExamplesMax: batch,
    });
    onTestFinished(() => cluster.close());
    const learner = await openLocalLearner(file, { engine: 'plain', onSkip: () => {} });
    onTestFinished(() => learner.dispose());
    const scores: number[] = [];
    const quality = createProgressiveQuality();
    const judged = createJudgedBatches({
      learner,
      batchExamples: batch,
      quality: { ...quality, add: (score) => void scores.push(score) },
      use: 'learn',
    });
    const lessons = labelLessonsOf(file);
    const clusterScores: number[] = [];
    for (let i = 0; i < count; i += 1) {
      const example = exampleOf(
        i,
        file.name,
        file.fields.some(({ name }) => name === 'price'),
      );
      await judged.take(example);
      const { request, label } = example;
      cluster.clock.advanceTo(example.timeMs as number);
      const requestId = lineRequestId(example.line);
      const answer = await cluster.core.score({ ...request, requestId });
      clusterScores.push(answer.scores[0]);
      const { outcome, positiveValue } = lessons;
      await cluster.core.acceptOutcomes([{ requestId, outcome, value: label * positiveValue }]);
      if ((i + 1) % batch === 0) await cluster.updater.flush();
    }
    await judged.end();
    await cluster.updater.flush();

    const { negativeRate = 1 } = file.learning ?? {};
    expect(cluster.updater.counters.learned).toBe(judged.learned);
    expect(judged.learned < count).toBe(negativeRate < 1);
    expect(cluster.updater.counters.sampledOut).toBe(count - judged.learned);
    expect(scores.map(Math.fround)).toEqual(clusterScores.map(Math.fround));
    for (const [partition, state] of cluster.shard.states.entries()) {
      if (state === null) throw new Error('every partition is held');
      expect(rowsHash(learner.states[partition])).toBe(rowsHash(state));
      // Not only the same set: created in the same order, so whatever looks at the order finds the same too.
      for (const [t, table] of state.tables.entries()) {
        const mine = learner.states[partition].tables[t];
        expect(mine.keys.subarray(0, 2 * mine.count)).toEqual(table.keys.subarray(0, 2 * table.count));
      }
    }
    expect(learner.net.dense.weights).toEqual(cluster.updater.dense.weights);
    expect(learner.net.dense.optimizerState).toEqual(cluster.updater.dense.optimizerState);
    const states = cluster.shard.states.flatMap((state) => (state === null ? [] : [state]));
    expect(learnedHash(learner.states, learner.net.dense)).toBe(learnedHash(states, cluster.updater.dense));
  },
);
