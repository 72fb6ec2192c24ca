import type { PullRequest, RowSource } from '@millrace/client';
import { fingerprintOf, hashText } from '@millrace/core';
import type { Example } from '@millrace/joiner';
import { decodeDenseBlock, decodeGradientBlock, MillraceError, type ModelFile } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { type BatchMark, createTrainer } from '../src/trainer.ts';
import { openSmallNet } from './small-model.ts';

/** logit = w[ad] alone, one partition, so that a step can be written down by hand. */
const linear: ModelFile = {
  name: 'ads',
  label: 'y',
  partitions: 1,
  tables: [{ name: 'ids', wide: { optimizer: { type: 'newton' } } }],
  fields: [
    { name: 'ad', type: 'sparse', scope: 'item', table: 'ids' },
    { name: 'price', type: 'dense', scope: 'item', table: 'ids' },
  ],
  bias: false,
  net: 'linear',
  loss: 'logloss',
  seed: 1,
};

const mark: BatchMark = { producer: 'p', batch: 7, previous: [5], previousDense: 6, timeMs: 123 };

type Parts = Pick<Example, 'shown' | 'clicked'> & Partial<Example>;

function example(item: Example['item'], parts: Parts): Example {
  return {
    place: [1, 1, 0],
    user: {},
    context: {},
    item,
    score: 0.5,
    offset: 0,
    weighting: 'none',
    isFirst: true,
    makesPositive: false,
    origin: { sequence: 1, watermarkMs: 0 },
    ...parts,
  };
}

const positive = { shown: 1, clicked: 1 } as const;
const negative = { shown: 1, clicked: 0 } as const;
const clickAlone = { shown: 0, clicked: 1 } as const;

/** Rows whose every float is `value`. */
function constantRows(value: number): RowSource & { asked: PullRequest[] } {
  const asked: PullRequest[] = [];
  return {
    asked,
    async pull(request) {
      asked.push(request);
      request.out.fill(value, 0, request.count * request.layout.dim);
      return { degraded: false };
    },
  };
}

async function keyOf(field: 'ad' | 'price', text: string): Promise<number[]> {
  const { plan } = await openSmallNet(linear);
  const { seedLow, seedHigh } = plan.keyFields.find(({ name }) => name === field)!;
  const words = new Uint32Array(2);
  hashText(text, seedLow, seedHigh, words, 0);
  return Array.from(words);
}

test('trainer: a step by hand: gradients and curvature summed a key, in a block that continues the chain', async () => {
  const rows = constantRows(0);
  const trainer = createTrainer(await openSmallNet(linear), rows);
  // All weights are 0, so p = ½: a positive gives −½, a negative +½, curvature is ¼·x².
  const trained = await trainer.train(
    [
      example({ ad: 'a' }, positive),
      example({ ad: 'b', price: 3 }, negative),
      example({ ad: 'a', price: -2 }, positive),
    ],
    mark,
  );
  expect([trained.blocks.length, trained.dense, trained.unusable]).toEqual([1, null, 0]);
  expect(trained.lossSum).toBeCloseTo(3 * Math.LN2, 6);
  const { sections, ...head } = decodeGradientBlock(trained.blocks[0].bytes);
  expect([trained.blocks[0].partition, head]).toEqual([
    0,
    {
      producer: 'p',
      sequence: 7,
      previous: 5,
      model: 'ads',
      fingerprint: fingerprintOf(linear),
      partition: 0,
      timeMs: 123,
      eventTimeMs: null,
    },
  ]);
  const [section] = sections;
  const keys = [await keyOf('ad', 'a'), await keyOf('ad', 'b'), await keyOf('price', '')];
  expect(Array.from(section.keys)).toEqual(keys.flat());
  // price: ½·3 of the negative and −½·(−2) of the positive; ¼·9 + ¼·4.
  expect(Array.from(section.gradients)).toEqual([-1, 0.5, 2.5]);
  expect(Array.from(section.curvature!)).toEqual([0.5, 0.25, 3.25]);
  expect(rows.asked.map(({ model, onAbsent, count }) => [model, onAbsent, count])).toEqual([
    ['ads', 'fail', 3],
  ]);
});

test('trainer: the two parts of a click that was learned as a negative first add up to a positive', async () => {
  const train = async (...examples: Example[]) => {
    const trainer = createTrainer(await openSmallNet(linear), constantRows(0.75));
    const { blocks, lossSum } = await trainer.train(examples, mark);
    const [section] = decodeGradientBlock(blocks[0].bytes).sections;
    return { gradient: section.gradients[0], curvature: section.curvature![0], lossSum };
  };
  const item = { ad: 'a' };
  const whole = await train(example(item, positive));
  const shown = await train(example(item, negative));
  const clicked = await train(example(item, clickAlone));
  // σ(0.75) = 0.679179
  expect(whole.gradient).toBeCloseTo(0.679179 - 1, 6);
  expect(clicked).toEqual({ gradient: -1, curvature: 0, lossSum: -0.75 });
  expect(shown.gradient + clicked.gradient).toBeCloseTo(whole.gradient, 6);
  expect(shown.curvature + clicked.curvature).toBeCloseTo(whole.curvature, 6);
  expect(shown.lossSum + clicked.lossSum).toBeCloseTo(whole.lossSum, 6);
});

test('trainer: memory kept from a larger batch leaves nothing in a smaller one', async () => {
  const trainer = createTrainer(await openSmallNet(linear), constantRows(0));
  const many = Array.from({ length: 300 }, (_, i) => example({ ad: i, price: 9 }, positive));
  await trainer.train(many, mark);
  const { blocks, lossSum } = await trainer.train([example({ ad: 'a' }, negative)], mark);
  const [section] = decodeGradientBlock(blocks[0].bytes).sections;
  expect([section.count, section.gradients[0], section.curvature![0]]).toEqual([1, 0.5, 0.25]);
  expect(lossSum).toBeCloseTo(Math.LN2, 6);
});

test('trainer: examples that cannot be used are counted and left out', async () => {
  const trainer = createTrainer(await openSmallNet(linear), constantRows(0));
  const bad = example({ ad: 'a', price: 'dear' }, positive);
  const { blocks, unusable } = await trainer.train([bad, example({ ad: 'b' }, negative), bad], mark);
  const [section] = decodeGradientBlock(blocks[0].bytes).sections;
  expect([unusable, section.count, section.gradients[0]]).toEqual([2, 1, 0.5]);
  expect(await trainer.train([bad], mark)).toEqual({
    blocks: [],
    dense: null,
    lossSum: 0,
    unusable: 1,
    norms: null,
  });
});

test('trainer: dense gradients go into a block of their own', async () => {
  const layers: ModelFile = {
    ...linear,
    fields: [...linear.fields, { name: 'x', type: 'dense', scope: 'item' }],
    net: { layers: [{ units: 1, activation: 'linear' }] },
  };
  const net = await openSmallNet(layers);
  const trainer = createTrainer(net, constantRows(0));
  const { dense } = await trainer.train([example({ x: 2 }, positive), example({ x: -1 }, negative)], mark);
  const { gradients, ...head } = decodeDenseBlock(dense!);
  expect(head).toEqual({
    producer: 'p',
    sequence: 7,
    previous: 6,
    model: 'ads',
    fingerprint: fingerprintOf(layers),
    timeMs: 123,
  });
  // logit = (w1·x + b1)·w2 + b2; "price" is missing, so the layers read 0 for it.
  const [w1OfPrice, w1, b1, w2, b2] = net.dense.weights;
  const inputs = [2, -1];
  const errors = inputs.map((x, i) => 1 / (1 + Math.exp(-((w1 * x + b1) * w2 + b2))) - (i === 0 ? 1 : 0));
  const sum = (of: (x: number) => number) => errors[0] * of(2) + errors[1] * of(-1);
  expect(Number.isFinite(w1OfPrice)).toBe(true);
  const wanted = [0, sum((x) => w2 * x), sum(() => w2), sum((x) => w1 * x + b1), sum(() => 1)];
  wanted.forEach((value, i) => {
    expect(gradients[i]).toBeCloseTo(value, 5);
  });
});

test('trainer: rows that cannot be read are the caller’s to wait for', async () => {
  const source: RowSource = {
    pull: () => Promise.reject(new MillraceError('MILL_SHARD_UNAVAILABLE', 'nobody answers')),
  };
  const trainer = createTrainer(await openSmallNet(linear), source);
  await expect(trainer.train([example({ ad: 'a' }, positive)], mark)).rejects.toMatchObject({
    code: 'MILL_SHARD_UNAVAILABLE',
  });
});

test('trainer: a block tells the newest watermark of its examples where a table expires', async () => {
  const expiry = { type: 'age', afterMs: 1_000 } as const;
  const expiring = { ...linear, tables: [{ ...linear.tables[0], expiry }] };
  const trainer = createTrainer(await openSmallNet(expiring), constantRows(0));
  const at = (watermarkMs: number) => ({
    ...example({ ad: 'a' }, positive),
    origin: { sequence: 1, watermarkMs },
  });
  const timeOf = async (examples: readonly Example[]) => {
    const { blocks } = await trainer.train(examples, mark);
    return decodeGradientBlock(blocks[0].bytes).eventTimeMs;
  };
  expect([await timeOf([at(7), at(9), at(8)]), await timeOf([at(0)])]).toEqual([9, null]);
});
