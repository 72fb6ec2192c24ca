import type { ModelFile } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { createGradientStep, openNet, type StepExample, tablesToPull } from '../src/index.ts';
import { batchMoments, normalize, scalesFrom } from '../src/moments.ts';
import { encode } from './encoded.ts';
import { smallModel, wideTable } from './small-model.ts';

const standardize = { type: 'standardize' } as const;

/** logit = price′ · w; age only says that fields are told apart. */
const linear: ModelFile = smallModel({
  fields: [
    { name: 'age', type: 'dense', scope: 'user', table: 'wide', transform: standardize },
    { name: 'price', type: 'dense', scope: 'item', table: 'wide', transform: standardize },
  ],
});

/** price′ is what the layers read. */
const layered: ModelFile = smallModel({
  fields: [
    { name: 'stock', type: 'dense', scope: 'item' },
    { name: 'price', type: 'dense', scope: 'item', transform: standardize },
  ],
  tables: [wideTable],
  net: { layers: [{ units: 1, activation: 'linear' }], optimizer: { type: 'sgd', learningRate: 0 } },
});

test('moments: scales: mean and deviation; deviation 1 while there is none', () => {
  // 4 values of mean 2 and M2 36; nothing; 3 equal values.
  const weights = Float32Array.of(99, 4, 2, 36, 0, 0, 0, 3, 7, 0);
  expect([...scalesFrom(weights, 3)]).toEqual([2, 3, 0, 1, 7, 1]);
  expect([...scalesFrom(Float32Array.of(99), 0)]).toEqual([]);
});

test('moments: normalize: the x of occurrences and the numbers of layers, missing as the mean, far ones cut', () => {
  const items = [{ price: 8, stock: 5 }, { stock: 6 }, { price: -1, stock: 7 }, { price: 1e6, stock: 8 }];
  const scales = Float64Array.of(2, 3);
  const { plan, batch } = encode(layered, [{ items }]);
  const dense = new Float32Array(8);
  normalize(plan, batch, scales, dense);
  expect([...dense]).toEqual([5, 2, 6, 0, 7, -1, 8, 10]);

  const wide = encode(linear, [{ user: { age: 30 }, items: [{ price: 8 }, {}, { price: -1 }] }]);
  normalize(wide.plan, wide.batch, Float64Array.of(20, 5, 2, 3), new Float32Array(0));
  const [table] = wide.batch.tables;
  // The age that all share and a price; nothing more; a price.
  expect([...table.xOf.subarray(0, table.occurrences)]).toEqual([2, 2, -1]);
  // The raw values are kept: another version normalises the same batch anew.
  normalize(wide.plan, wide.batch, Float64Array.of(30, 1, 0, 1), new Float32Array(0));
  expect([...table.xOf.subarray(0, table.occurrences)]).toEqual([0, 8, -1]);
});

test('moments: batch: count, mean and M2 of what was shown and there', () => {
  const items = [{ price: 1 }, { price: 3 }, {}, { price: 100 }, { price: 1e30 }];
  const { plan, batch } = encode(linear, [{ user: { age: 4 }, items }]);
  const out = new Float32Array(7).fill(9);
  batchMoments(plan, batch, Float32Array.of(1, 2, 1, 0, 0), out, 1);
  expect([...out]).toEqual([9, 3, 4, 0, 2, 2, 2]);
  batchMoments(plan, batch, Float32Array.of(0, 0, 0, 0, 1), out, 1);
  expect([...out.subarray(4)]).toEqual([1, Math.fround(1e12), 0]);
});

test('moments: a number that float32 cannot hold is refused, and the batch is as before', () => {
  expect(() => encode(linear, [{ items: [{ price: 1e39 }] }])).toThrow('±3.4e38');
});

test('moments: a step normalises by the version that it runs with, and its gradient carries the batch', async () => {
  const net = await openNet(linear, { wanted: 'plain', onSkip: () => {} });
  // price: 4 values of mean 2 and M2 36, so deviation 3; age: none yet.
  net.dense.weights.set([0, 0, 0, 4, 2, 36]);
  net.dense.sequence = 3;
  expect(net.versions.refresh()).toBe('swapped');
  const step = createGradientStep(net);
  const example = (price: number): StepExample => ({
    user: {},
    context: {},
    item: { price },
    shown: 1,
    clicked: 0,
  });
  step.begin();
  step.add(example(8), 0);
  step.add(example(-1), 1);
  for (const { out } of tablesToPull(step.space)) out.fill(0.5);
  await step.run(net.versions.current);
  // x′ = 2 and −1 at w = ½.
  expect([...step.logits.subarray(0, 2)]).toEqual([1, -0.5]);
  const p = [1, -0.5].map((z) => 1 / (1 + Math.exp(-z)));
  expect(step.sums[0].gradients[0]).toBeCloseTo(2 * p[0] - p[1], 6);
  expect([...step.parameters]).toEqual([0, 0, 0, 2, 3.5, 40.5]);
  net.dispose();
});

test('moments: examples far from the mean do not shake a net while little is known', async () => {
  const net = await openNet(layered, { wanted: 'plain', onSkip: () => {} });
  const at = net.shape.parameters;
  net.dense.weights.set([2, 5, 1e-12], at);
  net.dense.sequence = 1;
  net.versions.refresh();
  const { plan, batch } = encode(layered, [{ items: [{ price: 6 }, { price: 4 }] }]);
  const dense = new Float32Array(4);
  normalize(plan, batch, net.versions.current.scales, dense);
  expect([...dense]).toEqual([0, 10, 0, -10]);
  net.dispose();
});
