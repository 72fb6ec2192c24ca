/** What `millrace compress --add` puts into a cluster answers there as it was learned here. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ModelFile } from '@millrace/protocol';
import { eventually, type LocalClusterFixture, runMillrace, startLocalCluster } from '@millrace/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';

const optimizer = { type: 'adagrad', learningRate: 0.1, initialAccumulator: 0.1 } as const;
const file: ModelFile = {
  name: 'shop',
  label: 'click',
  timestamp: 'time',
  item: 'ad',
  partitions: 4,
  tables: [{ name: 'ids', embedding: { dim: 8, optimizer, initializer: { type: 'uniform', scale: 0.1 } } }],
  fields: [
    { name: 'who', type: 'sparse', scope: 'user', table: 'ids' },
    { name: 'ad', type: 'sparse', scope: 'item', table: 'ids' },
  ],
  bias: false,
  net: { layers: [{ units: 8 }, { units: 4 }], optimizer: { type: 'adam', learningRate: 0.01 } },
  loss: 'logloss',
  seed: 7,
};
let cluster: LocalClusterFixture;

beforeAll(async () => {
  cluster = await startLocalCluster({ shards: 1 });
});

afterAll(() => cluster?.remove());

test('compress: a model is made of what was learned, with its smaller nets as versions that tell items apart', async () => {
  // Ads of an even number are clicked four times in five, others once.
  const lines = Array.from({ length: 3_000 }, (_, i) => {
    const ad = (i * 7) % 20;
    const clicked = ad % 2 === 0 ? i % 5 !== 0 : i % 5 === 0;
    return `${1_700_000_000 + i},${clicked ? 1 : 0},u${i % 11},a${ad}`;
  });
  const log = join(cluster.directory, 'log.csv');
  const model = join(cluster.directory, 'model.json');
  await writeFile(log, ['time,click,who,ad', ...lines, ''].join('\n'));
  await writeFile(model, JSON.stringify(file));
  const args = [
    'compress',
    model,
    '--data',
    log,
    '--methods',
    'rows-int8,dense-int8,prune-units,split',
    '--batch',
    '4',
  ];
  const run = () =>
    runMillrace([...args, '--add', 'small', '--json'], {
      env: { MILL_DATA: cluster.directory, MILL_NATS_URL: undefined },
    });
  const { code, stdout, stderr } = await run();
  expect([code, code === 0 ? '' : stderr]).toEqual([0, '']);
  // Rows are the cluster's own: a format of theirs is no version.
  const { versions, methods } = JSON.parse(stdout) as {
    versions: unknown;
    methods: readonly { method: string; auc: number; requests?: Record<string, number> }[];
  };
  expect(versions).toEqual([
    { method: 'dense-int8', version: 1 },
    { method: 'prune-units', version: 2 },
  ]);
  // What requests are split by changes no weights, so it is no version either.
  const [none, split] = ['none', 'split'].map((name) => methods.find(({ method }) => method === name));
  expect(split?.auc).toBe(none?.auc);
  const { whole, fresh, known, scoreDifference } = split?.requests ?? {};
  expect(Math.min(whole, fresh, known)).toBeGreaterThan(0);
  expect(scoreDifference).toBeLessThan(1e-5);
  await cluster.client.waitUntilReady();
  // A node that is ready loads versions that come later while it serves.
  await eventually(
    async () => {
      const { versions: listed } = await cluster.client.versions.list('small');
      if (listed.find(({ version }) => version === 2)?.state !== 'READY')
        throw new Error('2 is being loaded');
    },
    { withinMs: 10_000, everyMs: 50 },
  );
  const items = [{ ad: 'a2' }, { ad: 'a3' }];
  const ask = (address: object) =>
    cluster.client.score({ model: 'small', log: false, user: { who: 'u1' }, items, ...address });
  const [live, latest] = [await ask({ version: 'live' }), await ask({ version: 2 })];
  expect(latest.modelVersion).toBe(2);
  for (const { scores } of [live, latest]) {
    expect(scores[0]).toBeGreaterThan(0.6);
    expect(scores[1]).toBeLessThan(0.4);
  }
  expect(latest.scores).not.toEqual(live.scores);
  const again = await run();
  expect([again.code, again.stderr.includes('MILL_BAD_REQUEST')]).toEqual([1, true]);
});
