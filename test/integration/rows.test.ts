/** Rows that come, go, leave and enter a real cluster: admission and expiry, export and import, by the commands of a user. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ModelFile } from '@millrace/protocol';
import type { ScoreRequest } from '@millrace/sdk';
import { eventually, type LocalClusterFixture, runMillrace, startLocalCluster } from '@millrace/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';

const optimizer = { type: 'adagrad', learningRate: 0.3, initialAccumulator: 1 } as const;
const file: ModelFile = {
  name: 'lively',
  label: 'click',
  item: 'item',
  partitions: 8,
  tables: [
    {
      name: 'users',
      wide: { optimizer },
      embedding: { dim: 4, optimizer },
      admission: { type: 'count', count: 2 },
    },
    {
      name: 'items',
      wide: { optimizer },
      embedding: { dim: 4, optimizer },
      expiry: { type: 'age', afterMs: 2_000 },
    },
  ],
  fields: [
    { name: 'user', type: 'sparse', scope: 'user', table: 'users' },
    { name: 'item', type: 'sparse', scope: 'item', table: 'items' },
    { name: 'price', type: 'dense', scope: 'item', transform: { type: 'log1p' } },
  ],
  net: { wide: true, fm: true, layers: [{ units: 8 }], optimizer: { type: 'adam', learningRate: 0.01 } },
  loss: 'logloss',
  seed: 3,
  learning: { negatives: 'at-once', joinWindowMs: 10_000, batchDelayMs: 5 },
};
/** The same without anything that goes, so that what is exported stays what it was. */
const steady: ModelFile = {
  ...file,
  name: 'steady',
  tables: file.tables.map(({ admission: _, expiry: __, ...table }) => table),
};
const soon = { withinMs: 60_000, everyMs: 200 };
let cluster: LocalClusterFixture;
let folder: string;
let visits = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-rows-'));
  cluster = await startLocalCluster({ env: { MILL_SNAPSHOT_EVERY_MS: '1000' } });
  for (const model of [file, steady]) await eventually(() => cluster.client.createModel(model), soon);
  await cluster.client.waitUntilReady();
});

afterAll(async () => {
  await cluster?.remove();
  await rm(folder, { recursive: true, force: true });
});

async function visit(model: string, items: readonly string[], count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) {
    visits += 1;
    const request: ScoreRequest = {
      model,
      requestId: `visit-${visits}`,
      user: { user: `u${visits % 7}` },
      items: items.map((item, place) => ({ item, price: place })),
    };
    await cluster.client.score(request);
    await cluster.client.sendOutcomes({ model, requestId: `visit-${visits}`, index: visits % items.length });
  }
}

function command(...args: string[]) {
  return runMillrace(args, { env: { MILL_NATS_URL: cluster.natsUrl }, limitMs: 120_000 });
}

const probe = (model: string): ScoreRequest => ({
  model,
  user: { user: 'u1' },
  items: [{ item: 'i1', price: 3 }, { item: 'i2' }, { item: 'never seen' }],
  log: false,
});

test('rows: what came and went is the same on every owner, and restored from snapshots', async () => {
  await visit('lively', ['i1', 'i2', 'old'], 12);
  // What is learned later moves event time on, and takes the item that nobody learns any more.
  const gone = async () => {
    await visit('lively', ['i1', 'i2'], 3);
    const out = join(folder, 'lively');
    const { code, stdout } = await command(
      'export',
      '--model',
      'lively',
      '--out',
      out,
      '--table',
      'items',
      '--json',
    );
    expect(code).toBe(0);
    expect(JSON.parse(stdout).rows).toBe(2);
  };
  await eventually(gone, soon);
  const { code, stdout } = await command('verify', '--model', 'lively', '--json');
  expect([code, JSON.parse(stdout)]).toMatchObject([0, { equal: true, differences: [] }]);
});

test.each(['npy', 'csv'])(
  'rows: exported as %s and imported under another name they score the same, bit for bit',
  async (format) => {
    await visit('steady', ['i1', 'i2', 'i3'], 10);
    let learned = 0;
    await eventually(async () => {
      const before = learned;
      learned = (await cluster.client.status()).models.find(({ name }) => name === 'steady')?.learned ?? 0;
      expect([learned > 0, learned]).toEqual([true, before]);
    }, soon);
    const out = join(folder, format);
    const exported = await command(
      'export',
      '--model',
      'steady',
      '--out',
      out,
      '--format',
      format,
      '--state',
      '--json',
    );
    expect([exported.code, exported.stderr]).toEqual([0, '']);
    const name = `copy-${format}`;
    const imported = await command('import', out, '--model', name, '--json');
    expect([imported.code, imported.stderr]).toEqual([0, '']);
    const { rows, parameters } = JSON.parse(imported.stdout);
    const notes = JSON.parse(exported.stdout);
    expect([rows, parameters]).toEqual([notes.rows, notes.dense.parameters]);
    const { scores } = await cluster.client.score(probe('steady'));
    await eventually(async () => {
      expect((await cluster.client.score(probe(name))).scores).toEqual(scores);
    }, soon);
    const verified = await command('verify', '--model', name, '--json');
    expect([verified.code, JSON.parse(verified.stdout).equal]).toEqual([0, true]);
  },
  // Four commands, each a process that has to load; on a busy machine that takes its time.
  300_000,
);
