/** The commands that work on log files, and the demo, run as a user runs them. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import {
  type CommandResult,
  type LocalClusterFixture,
  runMillrace,
  startLocalCluster,
} from '@millrace/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const model = fileURLToPath(new URL('../../examples/movietweetings-ftrl.json', import.meta.url));
const events = 600;

let directory: string;
const at = (name: string) => join(directory, name);

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mill-commands-'));
  const rows = logRows(events);
  await writeFile(at('log.csv'), csvFrom(rows));
  await writeFile(at('log.csv.gz'), gzipSync(csvFrom(rows)));
  await writeFile(at('log.jsonl'), rows.map((row) => JSON.stringify(row)).join('\n'));
  await writeFile(at('later.csv'), csvFrom(logRows(50)));
  const [first, second, ...rest] = rows;
  await writeFile(at('swapped.csv'), csvFrom([second, first, ...rest]));
});

afterAll(() => rm(directory, { recursive: true, force: true }));

describe('backtest', () => {
  const backtest = (log: string, ...more: string[]) =>
    runMillrace(['backtest', at(log), '--model', model, '--json', ...more]);
  let ofLog: Promise<CommandResult> | null = null;
  /** The run that several tests compare theirs with. */
  const backtestLog = () => {
    ofLog ??= backtest('log.csv');
    return ofLog;
  };

  test('commands: backtest: twice the same command, twice the same line but for its timing', async () => {
    const [first, second] = await Promise.all([backtestLog(), backtest('log.csv')]);
    expect(first).toMatchObject({ code: 0 });
    expect(second).toMatchObject({ code: 0 });
    expect(first.stdout).toBe(second.stdout);
    const figures = figuresOf(first);
    expect(figures).toMatchObject({ events, learned: events, engine: 'plain' });
    expect(figures.stateHash).toMatch(/^[0-9a-f]{64}$/);
    // The log's labels lean on the item, which the model learns.
    expect(figures.auc).toBeGreaterThan(0.6);
  });

  test('commands: backtest: CSV, the same gzipped, and JSON Lines end in one state', async () => {
    const runs = await Promise.all([backtestLog(), backtest('log.csv.gz'), backtest('log.jsonl')]);
    const [csv, gzipped, jsonl] = runs.map(figuresOf);
    expect(gzipped.stateHash).toBe(csv.stateHash);
    expect(jsonl.stateHash).toBe(csv.stateHash);
  });

  test('commands: backtest: another order of events ends in another state', async () => {
    const [log, swapped] = (await Promise.all([backtestLog(), backtest('swapped.csv')])).map(figuresOf);
    expect(swapped.events).toBe(log.events);
    expect(swapped.stateHash).not.toBe(log.stateHash);
  });

  test('commands: backtest: --test scores a second file and learns nothing from it', async () => {
    const [log, tested] = (
      await Promise.all([backtestLog(), backtest('log.csv', '--test', at('later.csv'))])
    ).map(figuresOf);
    expect(tested.test).toMatchObject({ events: 50 });
    expect(tested).toMatchObject({ stateHash: log.stateHash, auc: log.auc, learned: events });
  });

  const header = 'timestamp,label,user,item,year,hour,weekday,genres';
  test.for([
    { what: 'a ragged line', text: `${header}\n1,0,u,i,2000,1,1,a\n2,0,u`, says: 'line 3' },
    { what: 'a column missing', text: 'timestamp,label,user\n1,0,u', says: 'item' },
  ])('commands: backtest: a file with $what is refused', async ({ what, text, says }) => {
    const name = `${what.replaceAll(' ', '-')}.csv`;
    await writeFile(at(name), text);
    const result = await backtest(name, '--strict');
    expect(result).toMatchObject({ code: 1, stdout: '' });
    expect(result.stderr).toContain('MILL_FILE_INVALID');
    expect(result.stderr).toContain(says);
  });

  test('commands: backtest: a log or a model that is not there is refused', async () => {
    const [log, file] = await Promise.all([
      backtest('nothing.csv'),
      runMillrace(['backtest', at('log.csv'), '--model', at('nothing.json')]),
    ]);
    expect(log).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('MILL_FILE_INVALID') });
    expect(file).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('MILL_MODEL_INVALID'),
    });
  });
});

describe('train and tune', () => {
  test('commands: train: the kept state is what backtest --from starts with, and of that model alone', async () => {
    const out = at('trained');
    const args = [
      'train',
      at('log.csv'),
      '--model',
      model,
      '--out',
      out,
      '--passes',
      '2',
      '--holdout',
      '0.2',
    ];
    const trained = await runMillrace([...args, '--json']);
    expect(trained).toMatchObject({ code: 0 });
    const figures = figuresOf(trained);
    expect(figures.data).toMatchObject({ trainExamples: 0.8 * events, holdoutExamples: 0.2 * events });
    const [fresh, from, other] = await Promise.all([
      runMillrace(['backtest', at('later.csv'), '--model', model, '--json']),
      runMillrace(['backtest', at('later.csv'), '--from', out, '--json']),
      runMillrace(['backtest', at('later.csv'), '--from', out, '--model', 'examples/movietweetings.json']),
    ]);
    expect([fresh.code, from.code]).toEqual([0, 0]);
    expect(figuresOf(from).rows).toBeGreaterThanOrEqual(figures.rows as number);
    expect(figuresOf(from).logloss).toBeLessThan(figuresOf(fresh).logloss as number);
    expect(other).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('MILL_MODEL_INVALID'),
    });
  });

  test('commands: tune: the best first, and --out is its model file', async () => {
    const grid = '{"tables.0.wide.optimizer.alpha": [0.1, 0.001, -1]}';
    const args = [
      'tune',
      at('log.csv'),
      '--model',
      model,
      '--grid',
      grid,
      '--out',
      at('best.json'),
      '--json',
    ];
    const tuned = await runMillrace(args);
    expect(tuned).toMatchObject({ code: 0 });
    const { combinations } = figuresOf(tuned) as unknown as { combinations: Record<string, unknown>[] };
    expect(combinations.map(({ values }) => Object.values(values as object))).toEqual([[0.1], [0.001], [-1]]);
    expect(combinations[2].error).toContain('alpha');
    const best = JSON.parse(await readFile(at('best.json'), 'utf8'));
    expect(best.tables[0].wide.optimizer.alpha).toBe(0.1);
  });
});

describe('with a cluster', () => {
  let cluster: LocalClusterFixture;

  beforeAll(async () => {
    cluster = await startLocalCluster();
  });

  afterAll(() => cluster?.remove());

  const replay = (log: string, ...more: string[]) =>
    runMillrace(['replay', at(log), '--model', model, '--url', cluster.url, '--json', ...more]);

  test('commands: replay: a log as live traffic is scored and learned without an error', async () => {
    const result = await replay('log.csv');
    expect(result).toMatchObject({ code: 0 });
    const figures = figuresOf(result);
    expect(figures).toMatchObject({ events, errors: 0, learned: events });
    expect(figures.auc).toBeGreaterThan(0.5);
    // Again: the model is there, and these are other visits.
    const again = await replay('log.csv', '--in-flight', '4');
    expect(again).toMatchObject({ code: 0 });
    expect(figuresOf(again)).toMatchObject({ events, errors: 0, learned: events });
    const status = await cluster.client.status();
    expect(status.models).toMatchObject([{ name: 'movietweetings-ftrl', learned: 2 * events, rejected: 0 }]);
  });

  test('commands: replay: a file that breaks off ends it with the line', async () => {
    await writeFile(at('broken.csv'), `${csvFrom(logRows(20))}\n22,maybe,u,i,2000,1,1,a`);
    const result = await replay('broken.csv', '--strict');
    expect(result).toMatchObject({ code: 1, stdout: '' });
    expect(result.stderr).toContain('MILL_FILE_INVALID');
    expect(result.stderr).toContain('line 22');
  });
});

test('commands: demo: runs by itself, ends cleanly, and closes with one line of figures', async () => {
  const data = at('demo');
  const result = await runMillrace(['demo', '--data', data, '--port', '0', '--seconds', '8', '--json'], {
    // From the sources, as in a clone that has built nothing.
    env: { MILLRACE_TREE: undefined },
    limitMs: 100_000,
  });
  expect(result).toMatchObject({ code: 0 });
  const lines = result.stdout.trimEnd().split('\n');
  const figures = JSON.parse(lines.at(-1) ?? '') as Record<string, number>;
  expect(figures).toMatchObject({ errors: 0, restarts: 0 });
  for (const key of ['scored', 'learned', 'freshnessMsP50', 'freshnessMsP99'])
    expect([key, figures[key] > 0]).toEqual([key, true]);
  for (const key of ['auc', 'oracleAuc', 'logloss', 'oracleLogloss'])
    expect([key, figures[key] > 0 && figures[key] < 1]).toEqual([key, true]);
  expect(figures.freshnessMsP99).toBeGreaterThanOrEqual(figures.freshnessMsP50);
});

type Row = Readonly<Record<string, string | number>>;

/** A log whose labels lean on the item; the same in every run. */
function logRows(count: number): Row[] {
  return Array.from({ length: count }, (_, i) => {
    const item = (i * 7) % 12;
    const chance = (Math.imul(i + 1, 2_654_435_761) >>> 0) / 2 ** 32;
    return {
      timestamp: 1_500_000_000 + 60 * i,
      label: chance < (item < 4 ? 0.85 : 0.25) ? 1 : 0,
      user: `u${(i * 5) % 17}`,
      item: `i${item}`,
      year: 1990 + item,
      hour: i % 24,
      weekday: i % 7,
      genres: item % 2 === 0 ? 'Action|Drama' : 'Comedy',
    };
  });
}

function csvFrom(rows: readonly Row[]): string {
  return [Object.keys(rows[0]), ...rows.map((row) => Object.values(row))]
    .map((cells) => cells.join())
    .join('\n');
}

interface Figures {
  readonly [key: string]: unknown;
  readonly events: number;
  readonly auc: number;
  readonly stateHash: string;
}

/** The figures of a command that has printed one line. */
function figuresOf(result: CommandResult): Figures {
  expect(result.stdout.split('\n')).toHaveLength(2);
  return JSON.parse(result.stdout) as Figures;
}
