import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Exploration, uniformsOf } from '@millrace/core';
import type { ModelFile } from '@millrace/protocol';
import { expect, onTestFinished, test } from 'vitest';
import { type EvaluateOptions, evaluateLog } from '../../src/evaluate/evaluate-log.ts';
import { openLearner } from '../../src/training/open-learner.ts';

function fileOf(text: string, name = 'log.csv'): string {
  const directory = mkdtempSync(join(tmpdir(), 'mill-evaluate-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

function evaluate(logPath: string, change: Partial<EvaluateOptions> = {}) {
  return evaluateLog({
    logPath,
    itemsPath: undefined,
    policy: { type: 'uniform' },
    names: {},
    format: undefined,
    strict: false,
    clip: null,
    confidence: 0.95,
    resamples: 50,
    seed: 1,
    onProgress() {},
    ...change,
  });
}

const small = 'item,click,propensity\na,1,0.25\nb,0,0.5\na,1,0.5\nb,0,0.125\n';

test('evaluate: uniform by hand: weights 1/items over the logged probability', async () => {
  // Weights 2, 1, 1, 4; rewards 1, 0, 1, 0.
  const found = await evaluate(fileOf(small));
  expect(found).toMatchObject({
    events: 4,
    clicks: 2,
    items: 2,
    outsideItems: 0,
    meanWeight: 2,
    weightMax: 4,
  });
  expect(found.logged.value).toBe(0.5);
  expect(found.ips.value).toBe(0.75);
  expect(found.snips.value).toBe(3 / 8);
  expect(found.effectiveSampleSize).toBe(64 / 22);
  expect(found.columns).toEqual({
    reward: 'click',
    propensity: 'propensity',
    action: 'item',
    position: null,
  });
  expect(found.rewardModel).toContain('cross-fitted');
});

test('evaluate: logged: the mean reward, and no propensity is asked for', async () => {
  const found = await evaluate(fileOf('item,reward\na,2.5\nb,0\n'), { policy: { type: 'logged' } });
  expect([found.ips.value, found.logged.value, found.dr]).toEqual([1.25, 1.25, null]);
});

test('evaluate: columns by other names, JSONL, and a position', async () => {
  const lines = [
    { shown: 7, slot: 1, earned: 1, p: 0.5 },
    { shown: 8, slot: 2, earned: 0, p: 0.5 },
  ];
  const path = fileOf(`${lines.map((line) => JSON.stringify(line)).join('\n')}\n`, 'log.jsonl');
  const found = await evaluate(path, { names: { action: 'shown', reward: 'earned', propensity: 'p' } });
  expect(found.columns).toEqual({ reward: 'earned', propensity: 'p', action: 'shown', position: 'slot' });
  expect(found.ips.value).toBe(0.5);
});

test('evaluate: clipping: what it cut is told, with the estimate before', async () => {
  const { clipping, ips, weightMax, effectiveSampleSize } = await evaluate(fileOf(small), { clip: 1.5 });
  expect(clipping).toMatchObject({ at: 1.5, clipped: 2, clippedShare: 0.5, weightLost: 1 - 5 / 8 });
  expect([clipping?.ipsBefore.value, ips.value, weightMax]).toEqual([0.75, 0.625, 4]);
  expect(effectiveSampleSize).toBe(25 / 6.5);
});

test('evaluate: items of a file: others of the log weigh nothing and are counted', async () => {
  const items = fileOf('item\na\nb\nc\nd\n', 'items.csv');
  const found = await evaluate(fileOf(`${small}z,1,0.1\n`), { itemsPath: items });
  expect(found).toMatchObject({ items: 4, outsideItems: 1, events: 5 });
  // Half the weights of two items, and 0.
  expect(found.ips.value).toBeCloseTo((1 + 0.5) / 5, 12);
});

test('evaluate: a weight that rules the estimate is told of, and not when it is clipped', async () => {
  const rows = Array.from(
    { length: 400 },
    (_, i) => `${i % 2 === 0 ? 'a' : 'b'},${i % 10 === 0 ? 1 : 0},0.5`,
  );
  const path = fileOf(`item,click,propensity\n${rows.join('\n')}\nb,1,0.00002\n`);
  const { warnings, weightMax } = await evaluate(path);
  expect(weightMax).toBeCloseTo(25_000, 6);
  expect(warnings).toEqual([
    expect.stringContaining('one decision weighs 25000'),
    expect.stringContaining('under 1 % of its 401'),
  ]);
  expect((await evaluate(path, { clip: 10 })).warnings.join()).not.toContain('one decision');
  expect((await evaluate(fileOf(`item,click,propensity\n${rows.join('\n')}\n`))).warnings).toEqual([]);
});

test('evaluate: propensities that cannot be true are told of by the mean weight', async () => {
  const rows = Array.from(
    { length: 400 },
    (_, i) => `${i % 2 === 0 ? 'a' : 'b'},${i % 10 === 0 ? 1 : 0},0.9`,
  );
  const { warnings } = await evaluate(fileOf(`item,click,propensity\n${rows.join('\n')}\n`));
  expect(warnings).toEqual([expect.stringContaining('true propensities make it 1')]);
});

test.each([
  [
    'a propensity of 0',
    'a,1,0',
    'line 2, column "propensity": wanted a probability above 0 and at most 1, found "0"',
  ],
  ['a propensity above 1', 'a,1,1.01', 'column "propensity": wanted a probability'],
  ['a propensity that is no number', 'a,1,NaN', 'column "propensity": wanted a probability'],
  ['no propensity', 'a,1,', 'column "propensity": wanted a probability above 0 and at most 1, found nothing'],
  ['no reward', 'a,,0.5', 'line 2, column "click": wanted a number, found nothing'],
  ['a reward that is no number', 'a,yes,0.5', 'column "click": wanted a number, found "yes"'],
  ['no item', ',1,0.5', 'column "item": wanted text or a number, found nothing'],
  [
    'no reward at all',
    'a,0,0.5',
    'column "click": wanted a reward other than 0 in some record, found 0 in all 1',
  ],
])('evaluate: %s ends it, with file, line and column', async (_, row, message) => {
  await expect(evaluate(fileOf(`item,click,propensity\n${row}\n`))).rejects.toMatchObject({
    code: 'MILL_FILE_INVALID',
    message: expect.stringContaining(message),
  });
});

test('evaluate: a column that is not there is named', async () => {
  await expect(evaluate(fileOf('item,click\na,1\n'))).rejects.toMatchObject({
    code: 'MILL_FILE_INVALID',
    message: expect.stringContaining(
      '"propensity": wanted a column of that name, or another one named with --propensity',
    ),
  });
  await expect(evaluate(fileOf(small), { names: { reward: 'earned' } })).rejects.toMatchObject({
    message: expect.stringContaining('"earned": wanted that column, found only item, click, propensity'),
  });
});

test('evaluate: lines that cannot be read are skipped and counted, or end it with strict', async () => {
  const path = fileOf(`${small}a,1\n`);
  expect((await evaluate(path)).log).toMatchObject({ records: 4, skippedTotal: 1 });
  await expect(evaluate(path, { strict: true })).rejects.toMatchObject({ code: 'MILL_FILE_INVALID' });
});

/** A shop of four items and two kinds of users, each of whom wants another item; logged by a policy of known chances. */
const wants = { young: [0.05, 0.1, 0.6, 0.2], old: [0.5, 0.1, 0.05, 0.2] } as const;
const logging = [0.4, 0.3, 0.1, 0.2];

function shopLog(events: number): string {
  const numbers = uniformsOf(1, 'shop');
  const rows = ['kind,item,click,propensity'];
  for (let i = 0; i < events; i += 1) {
    const kind = numbers(3 * i) < 0.5 ? 'young' : 'old';
    let left = numbers(3 * i + 1);
    let item = 0;
    while (item < 3 && left >= logging[item]) {
      left -= logging[item];
      item += 1;
    }
    const click = numbers(3 * i + 2) < wants[kind][item] ? 1 : 0;
    rows.push(`${kind},i${item},${click},${logging[item]}`);
  }
  return `${rows.join('\n')}\n`;
}

const shop: ModelFile = {
  name: 'shop',
  label: 'click',
  item: 'item',
  partitions: 2,
  tables: [
    { name: 'ids', wide: { optimizer: { type: 'adagrad', learningRate: 0.5, initialAccumulator: 1 } } },
  ],
  fields: [
    { name: 'kind', type: 'sparse', scope: 'user', table: 'ids' },
    { name: 'item', type: 'sparse', scope: 'item', table: 'ids' },
  ],
  crosses: [{ name: 'kind-item', fields: ['kind', 'item'], table: 'ids' }],
  net: 'linear',
  loss: 'logloss',
  seed: 1,
};
async function byModel(exploration: Exploration, file = shop) {
  const learner = await openLearner({ file, engine: 'plain', batchExamples: 10 });
  onTestFinished(() => learner.dispose());
  return { type: 'model', file, learner, exploration, batchExamples: 10 } as const;
}

test('evaluate: a model that learns along: finds what a policy that knows each user earns', async () => {
  const path = fileOf(shopLog(2_000));
  const found = await evaluate(path, { policy: await byModel({ type: 'epsilon-greedy', epsilon: 0.1 }) });
  // The best for the young 0.6, for the old 0.5; one in ten is drawn evenly, at 0.225 on the whole.
  const best = 0.9 * 0.55 + 0.1 * 0.225;
  expect(found.ips.interval[0]).toBeLessThan(best);
  expect(found.ips.value).toBeGreaterThan(0.4);
  // What was learned counts from the first event on, so it earns a little less than the best.
  expect(found.dr?.value).toBeGreaterThan(0.42);
  expect(found.dr?.value).toBeLessThan(best + 0.06);
  expect(found.logged.value).toBeLessThan(0.3);
  // The model's own view helps: less spread than the weights alone give.
  expect(found.dr?.standardError).toBeLessThan(found.ips.standardError);
  expect(found.rewardModel).toContain('each before it learned of the decision');
});

test('evaluate: a model with a file of items: their features come from there', async () => {
  const items = fileOf('item,colour\ni0,red\ni1,blue\ni2,blue\ni3,red\n', 'items.csv');
  const file: ModelFile = {
    ...shop,
    fields: [...shop.fields, { name: 'colour', type: 'sparse', scope: 'item', table: 'ids' }],
  };
  const policy = await byModel({ type: 'greedy' }, file);
  const path = fileOf(shopLog(200));
  const found = await evaluate(path, { policy, itemsPath: items });
  expect(found).toMatchObject({ events: 200, items: 4, outsideItems: 0 });
  expect(Number.isFinite(found.dr?.value)).toBe(true);
  await expect(evaluate(path, { policy })).rejects.toMatchObject({
    message: expect.stringContaining('column "colour": wanted a column of the item’s field'),
  });
});

test('evaluate: a model with a precision explores by thompson, less as it learns', async () => {
  const file: ModelFile = { ...shop, tables: [{ ...shop.tables[0], precision: { prior: 1 } }] };
  const path = fileOf(shopLog(1_500));
  const unsure = await evaluate(path, { policy: await byModel({ type: 'thompson', scale: 1 }, file) });
  const certain = await evaluate(path, { policy: await byModel({ type: 'greedy' }, file) });
  expect(unsure.dr?.value).toBeGreaterThan(0.35);
  // It spreads over more of what was logged than the best alone.
  expect(unsure.effectiveSampleSize).toBeGreaterThan(certain.effectiveSampleSize);
});

test('evaluate: a model asked for thompson without a precision is refused', async () => {
  const policy = await byModel({ type: 'thompson', scale: 1 });
  await expect(evaluate(fileOf(shopLog(20)), { policy })).rejects.toMatchObject({
    code: 'MILL_BAD_REQUEST',
    message: expect.stringContaining('"precision": { "prior": 1 }'),
  });
});
