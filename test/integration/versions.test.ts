/** Versions on a cluster of real processes: taken, labelled, addressed, rolled back, kept over a restart of the node. */
import type { ModelFile } from '@millrace/protocol';
import { eventually, type LocalClusterFixture, runMillrace, startLocalCluster } from '@millrace/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';

const file: ModelFile = {
  name: 'shop',
  label: 'click',
  item: 'ad',
  partitions: 4,
  tables: [{ name: 'ids', wide: { optimizer: { type: 'sgd', learningRate: 0.1 } } }],
  fields: [
    { name: 'ad', type: 'sparse', scope: 'item', table: 'ids' },
    { name: 'price', type: 'dense', scope: 'item' },
  ],
  // Rows are live under every version: an item that nothing is learned of keeps its rows, and a bias would not.
  bias: false,
  net: {
    wide: true,
    layers: [{ units: 4, activation: 'relu' }],
    optimizer: { type: 'sgd', learningRate: 0.5 },
  },
  loss: 'logloss',
  seed: 7,
  learning: { negatives: 'at-once', batchDelayMs: 5 },
};
const soon = { withinMs: 30_000 };
let cluster: LocalClusterFixture;

beforeAll(async () => {
  cluster = await startLocalCluster({ shards: 1 });
  await cluster.client.createModel(file);
  await cluster.client.waitUntilReady();
});

afterAll(() => cluster?.remove());

/** Runs `millrace models …` on the cluster. */
async function models(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runMillrace(['models', ...args, '--url', cluster.url]);
  if (code !== 0) throw new Error(stderr);
  return stdout;
}

const ask = (address: object = {}) =>
  cluster.client.score({ model: 'shop', log: false, items: [{ ad: 'new', price: 1 }], ...address });

/** Has the live line learn until it scores otherwise. */
async function learnSomething(): Promise<void> {
  const before = await ask({ version: 'live' });
  await cluster.client.score({ model: 'shop', items: [{ ad: 'a', price: 1 }] });
  await eventually(async () => {
    expect((await ask({ version: 'live' })).version).toBeGreaterThan(before.version);
  }, soon);
}

test('versions: what is taken answers to the bit as the live line did, whatever that learns and whoever restarts', async () => {
  await learnSomething();
  const first = await ask();
  expect(first).not.toHaveProperty('modelVersion');
  expect(await models('take', 'shop', '--note', 'first', '--label', 'stable')).toBe(
    'took version 1 of "shop"\n',
  );
  await learnSomething();
  const stable = await ask();
  expect(stable).toMatchObject({ modelVersion: 1, label: 'stable', version: first.version });
  expect(stable.scores).toEqual(first.scores);
  expect((await ask({ version: 'live' })).scores).not.toEqual(first.scores);

  await models('take', 'shop', '--note', 'second');
  await models('label', 'shop', 'stable', '2', '--reason', 'newer');
  const second = await ask();
  expect(second).toMatchObject({ modelVersion: 2 });
  await models('rollback', 'shop', 'stable', '--reason', 'older was better');
  expect((await ask()).scores).toEqual(first.scores);

  const predict = async (path: string) => {
    const body = JSON.stringify({ instances: [{ ad: 'new', price: 1 }] });
    return (await fetch(`${cluster.url}/v1/models/shop/${path}:predict`, { method: 'POST', body })).json();
  };
  expect(await predict('labels/stable')).toEqual({ predictions: first.scores });
  expect(await predict('versions/2')).toEqual({ predictions: second.scores });

  const { versions, moves } = await cluster.client.versions.list('shop');
  expect(versions.map(({ version, kind, state, labels }) => [version, kind, state, labels])).toEqual([
    [1, 'taken', 'READY', ['stable']],
    [2, 'taken', 'READY', []],
  ]);
  expect(versions[0].sequences.dense).toBe(first.version);
  expect(versions[1].data.examples).toBeGreaterThan(0);
  expect(versions[1].data.lastEventMs).toBeGreaterThanOrEqual(versions[1].data.firstEventMs as number);
  expect(moves.map(({ from, to, reason }) => [from, to, reason]).slice(1)).toEqual([
    [1, 2, 'newer'],
    [2, 1, 'older was better'],
  ]);
  expect(await models('list')).toMatch(/1 +stable +ready +taken .* first/);

  // A node that starts is ready only with what labels point at.
  const { back } = await cluster.kill('inference');
  await back;
  await eventually(async () => {
    expect(await ask()).toMatchObject({ modelVersion: 1, scores: first.scores });
  }, soon);

  await expect(models('remove', 'shop', '1')).rejects.toThrow('MILL_VERSION_IN_USE');
  await models('unload', 'shop', '2');
  await models('remove', 'shop', '2');
  await expect(ask({ version: 2 })).rejects.toMatchObject({ code: 'MILL_VERSION_UNKNOWN' });
});
