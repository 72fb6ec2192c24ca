import { expect, test } from 'vitest';
import { runBacktest } from '../../src/backtest/run-backtest.ts';
import { readGrid } from '../../src/tune/grid.ts';
import { runTune, type TuneOptions } from '../../src/tune/run-tune.ts';
import { ads, freshLearner, temporaryFolder, writeLog } from '../training/made-up-log.ts';

/** How workers read TypeScript. */
const execArgv = ['--conditions=source', '--import', import.meta.resolve('tsx/esm')];
const rate = 'tables.0.wide.optimizer.learningRate';

async function options(grid: object, changes: Partial<TuneOptions> = {}): Promise<TuneOptions> {
  return {
    file: ads,
    grid: readGrid(JSON.stringify(grid)),
    log: await writeLog(await temporaryFolder(), 'item', 300),
    test: null,
    engine: 'auto',
    batchExamples: 1,
    workers: 2,
    by: 'logloss',
    onProgress: () => {},
    execArgv,
    ...changes,
  };
}

test('run tune: every combination is a row with the figures of its backtest, the best first', async () => {
  const done: number[] = [];
  const given = await options(
    { [rate]: [0.001, 0.3, -1], 'fields.0.table': ['ids', 'nowhere'] },
    { onProgress: (share, total) => done.push(share / total) },
  );
  const rows = await runTune(given);
  expect(rows.map(({ values }) => values)).toEqual([
    [0.3, 'ids'],
    [0.001, 'ids'],
    [0.001, 'nowhere'],
    [0.3, 'nowhere'],
    [-1, 'ids'],
    [-1, 'nowhere'],
  ]);
  const optimizer = { type: 'adagrad', learningRate: 0.3, initialAccumulator: 1 } as const;
  const learner = await freshLearner({ ...ads, tables: [{ name: 'ids', wide: { optimizer } }] });
  const alone = await runBacktest({ ...given, learner, onProgress: () => {} });
  expect(rows[0].figures?.stateHash).toBe(alone.stateHash);
  expect(rows[0].figures?.logloss).toBeCloseTo(alone.quality.logloss, 6);
  expect(rows[0].figures?.logloss).toBeLessThan(rows[1].figures?.logloss as number);
  for (const { figures, error } of rows.slice(2)) {
    expect(figures).toBeNull();
    expect(error).toContain('the model file is not valid');
  }
  expect(done.at(-1)).toBe(1);
}, 60_000);

test('run tune: a path that leads nowhere, and a worker that cannot start, are rows with their reason', async () => {
  const nowhere = await runTune(await options({ 'tables.7.name': ['x', 'y'] }));
  expect(nowhere.map(({ error }) => error)).toEqual([
    expect.stringContaining('leads nowhere'),
    expect.stringContaining('leads nowhere'),
  ]);
  const dead = await runTune(
    await options(
      { [rate]: [0.1, 0.2, 0.3] },
      { execArgv: ['--import', 'data:text/javascript,process.exit(3)'] },
    ),
  );
  expect(dead).toHaveLength(3);
  for (const { error } of dead) expect(error).toContain('its process ended with code 3');
}, 60_000);

test('run tune: a test log is what combinations are judged by, here by AUC', async () => {
  const test = await writeLog(await temporaryFolder(), 'item', 80);
  const rows = await runTune(await options({ [rate]: [0.1, 0.2] }, { test, by: 'auc', workers: 1 }));
  expect(rows.map(({ figures }) => figures?.events)).toEqual([80, 80]);
  const [first, second] = rows.map(({ figures }) => figures?.auc as number);
  expect(first).toBeGreaterThanOrEqual(second);
}, 60_000);
