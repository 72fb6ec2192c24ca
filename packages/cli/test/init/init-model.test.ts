import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseModelFile } from '@millrace/model';
import { isMillraceError } from '@millrace/protocol';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runBacktest } from '../../src/backtest/run-backtest.ts';
import { explainChoices } from '../../src/init/explain-choices.ts';
import { type InitOptions, initModel } from '../../src/init/init-model.ts';
import { openLearner } from '../../src/training/open-learner.ts';
import { csvOf, draw, labelAt, whole } from './generated-log.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-init-test-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function written(name: string, content: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

function optionsFor(path: string, change: Partial<InitOptions> = {}): InitOptions {
  return {
    path,
    format: undefined,
    strict: false,
    label: undefined,
    timestamp: undefined,
    name: 'm',
    sampleMax: 1_000,
    trialsMax: 0,
    onProgress: () => undefined,
    ...change,
  };
}

function shopRow(i: number): Record<string, unknown> {
  const [user, item, hour] = [whole(i, 1, 60), whole(i, 2, 20), whole(i, 3, 24)];
  const price = Math.exp(1 + 2 * draw(item, 50));
  const logit = 3 * (draw(user, 51) - 0.5) + 4 * (draw(item, 52) - 0.5) - 0.3 * Math.log(price);
  return {
    time: 1_700_000_000 + i,
    click: labelAt(i, logit),
    user_id: `u${user}`,
    item_id: `i${item}`,
    hour,
    price: price.toFixed(2),
  };
}

test('init: a log of 3,000 events gives a model that passes all checks and beats the running mean', {
  timeout: 240_000,
}, async () => {
  const logPath = await written('shop.csv', csvOf(3_000, shopRow));
  const result = await initModel(optionsFor(logPath, { trialsMax: 3, sampleMax: 300 }));
  const { file } = result;
  expect(parseModelFile(JSON.parse(JSON.stringify(file)))).toEqual(file);
  expect(file).toMatchObject({ label: 'click', timestamp: 'time', item: 'item_id' });
  expect(file.fields.map(({ name, scope }) => [name, scope])).toEqual([
    ['user_id', 'user'],
    ['item_id', 'item'],
    ['hour', 'context'],
    ['price', 'item'],
  ]);
  expect(result.trials).toHaveLength(3);
  expect(result.trials.filter(({ kept }) => kept).length).toBeGreaterThan(0);
  // Figures do not depend on the number of partitions; one is quickest.
  const learner = await openLearner({ file: { ...file, partitions: 1 }, engine: 'auto', batchExamples: 1 });
  const backtest = await runBacktest({
    learner,
    log: { path: logPath, format: undefined, strict: true },
    test: null,
    batchExamples: 1,
    onProgress: () => undefined,
  }).finally(() => learner.dispose());
  const { positives, events } = result.profile;
  const mean = positives / events;
  const ofMean = -mean * Math.log(mean) - (1 - mean) * Math.log(1 - mean);
  expect(backtest.events).toBe(3_000);
  expect(backtest.quality.logloss).toBeLessThan(0.95 * ofMean);
  expect(backtest.quality.auc).toBeGreaterThan(0.65);
  const text = explainChoices(result).join('\n');
  for (const said of ['click, by its name', 'user_id', 'it names the item', 'diagonal Newton', 'yes'])
    expect(text).toContain(said);
});

test('init: the same log gives the same file, and trials leave nothing behind', {
  timeout: 240_000,
}, async () => {
  const logPath = await written('again.csv', csvOf(150, shopRow));
  const before = await leftFolders();
  const [one, two] = [
    await initModel(optionsFor(logPath, { trialsMax: 2 })),
    await initModel(optionsFor(logPath, { trialsMax: 2 })),
  ];
  expect(JSON.stringify(two.file)).toBe(JSON.stringify(one.file));
  expect(two.trials).toEqual(one.trials);
  expect((await leftFolders()).filter((name) => !before.includes(name))).toEqual([]);
});

async function leftFolders(): Promise<string[]> {
  return (await readdir(tmpdir())).filter((name) => /^millrace-init-(?!test)/.test(name));
}

test('init: without trials, what the screening is sure of is in the model', async () => {
  const content = csvOf(4_000, (i) => {
    const [a, b] = [whole(i, 1, 4), whole(i, 2, 4)];
    return { a: `a${a}`, b: `b${b}`, label: labelAt(i, (a + b) % 2 === 0 ? 1.5 : -1.5) };
  });
  const { file, trials } = await initModel(
    optionsFor(await written('pair.csv', content), { sampleMax: 4_000 }),
  );
  expect(trials).toEqual([]);
  expect(file.crosses?.map(({ fields }) => fields)).toEqual([['a', 'b']]);
});

test.each([
  [
    'no label column',
    'user,item\n1,2\n',
    {},
    /wanted a column for the label \(--label names it\), found only user, item/,
  ],
  [
    'another label column',
    'label,item\n1,2\n',
    { label: 'clicked' },
    /wanted the label column "clicked", found only label, item/,
  ],
  ['another time column', 'label,item\n1,2\n', { timestamp: 'when' }, /wanted the time column "when"/],
  ['labels of text', 'label,item\nyes,2\nno,3\n', {}, /a label of 0 or 1, found .*"yes"/],
  ['one class', 'label,item\n0,2\n0,3\n', {}, /labels of both kinds, found 2 times 0/],
  ['an empty file', '', {}, /wanted at least one record, found an empty file/],
  ['a header alone', 'label,item\n', {}, /at least one record/],
  [
    'nothing to learn from',
    'label,item\n1,x\n0,x\n',
    {},
    /a column to learn from, found 1 columns, all left out: item \(it is always the same\)/,
  ],
])('init: %s is refused in words', async (name, content, change, message) => {
  const path = await written(`${name.replaceAll(' ', '-')}.csv`, content);
  const error = await initModel(optionsFor(path, change)).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!isMillraceError(error, 'MILL_FILE_INVALID')) throw new Error(`wanted MILL_FILE_INVALID, got ${error}`);
  expect(error.message).toMatch(message);
});
