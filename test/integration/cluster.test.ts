/** A cluster of real processes, used as services and streaming jobs use it. */
import { eventsSubject, type ModelFile, modelNameFrom } from '@millrace/protocol';
import type { ScoreRequest } from '@millrace/sdk';
import {
  countingModel,
  countsOf,
  eventually,
  foldGradients,
  type LocalClusterFixture,
  readEvents,
  runMillrace,
  startLocalCluster,
} from '@millrace/testkit';
import { Packr } from 'msgpackr';
import { connect } from 'nats';
import { afterAll, beforeAll, expect, test } from 'vitest';

/** Learns at once and visibly. */
const ads: ModelFile = {
  name: 'ads',
  label: 'click',
  item: 'ad',
  partitions: 4,
  tables: [
    { name: 'weights', wide: { optimizer: { type: 'adagrad', learningRate: 0.5, initialAccumulator: 1 } } },
  ],
  fields: [
    { name: 'user', type: 'sparse', scope: 'user', table: 'weights' },
    { name: 'ad', type: 'sparse', scope: 'item', table: 'weights' },
  ],
  net: 'linear',
  loss: 'logloss',
  seed: 7,
  learning: { joinWindowMs: 60_000, batchDelayMs: 5 },
};
const request: ScoreRequest = {
  model: 'ads',
  user: { user: 'u1' },
  items: [{ ad: 'a1' }, { ad: 'a2' }],
  log: false,
};
const soon = { withinMs: 20_000 };

let cluster: LocalClusterFixture;

beforeAll(async () => {
  // So many that no log is trimmed: it is folded from the beginning here.
  cluster = await startLocalCluster({ env: { MILL_SNAPSHOT_CHAINS: '1000' } });
  await createReady(ads);
});

afterAll(() => cluster?.remove());

test('cluster: score, click, changed score: the clicked item gains, the other loses', async () => {
  const before = await cluster.client.score({ ...request, requestId: 'visit-1', log: true });
  expect(before).toMatchObject({ requestId: 'visit-1', model: 'ads', scores: [0.5, 0.5], degraded: false });
  const sent = await cluster.client.sendOutcomes([
    { model: 'ads', requestId: 'visit-1', item: 'a1' },
    { model: 'ads', requestId: 'visit-1', index: 1, value: 0 },
  ]);
  expect(sent).toEqual({ accepted: 2 });
  // Both in one batch or each in its own: user and bias are pushed both ways, the two ads stay apart.
  await eventually(async () => {
    const { scores } = await cluster.client.score(request);
    expect(scores[0]).toBeGreaterThan(0.5);
    expect(scores[1]).toBeLessThan(0.5);
  }, soon);
});

test('cluster: an unknown model is refused by its name', async () => {
  await expect(cluster.client.score({ ...request, model: 'nobody' })).rejects.toMatchObject({
    code: 'MILL_MODEL_UNKNOWN',
    message: expect.stringContaining('"nobody"'),
  });
  await expect(cluster.client.sendOutcomes({ model: 'nobody', requestId: 'x' })).rejects.toMatchObject({
    code: 'MILL_MODEL_UNKNOWN',
  });
  await createReady(countingModel('second', { joinWindowMs: 60_000 }));
  const noName = { items: [{ ad: 'a1' }] };
  await expect(cluster.client.score(noName)).rejects.toMatchObject({ code: 'MILL_MODEL_UNKNOWN' });
});

test('cluster: a model created twice is there once; another file of its name is refused', async () => {
  const again = await cluster.client.createModel(ads);
  expect(again).toMatchObject({ created: false, model: { name: 'ads', partitions: 4, ready: true } });
  await expect(cluster.client.createModel({ ...ads, seed: 8 })).rejects.toMatchObject({
    code: 'MILL_MODEL_EXISTS',
  });
  const names = (await cluster.client.models()).map(({ name }) => name);
  expect(names.filter((name) => name === 'ads')).toEqual(['ads']);
});

test('cluster: status: figures of models, shards and the node agree with what was done', async () => {
  const file = await createReady(countingModel('figures', { joinWindowMs: 60_000 }));
  const { node } = await cluster.client.status();
  const items = [{ item: 'i1' }, { item: 'i2' }];
  await cluster.client.score({ model: file.name, requestId: 'figures-1', items });
  await cluster.client.sendOutcomes({ model: file.name, requestId: 'figures-1', index: 1 });
  await eventually(async () => {
    // Staleness is told of the newest batch that was scored.
    await cluster.client.score({ model: file.name, items, log: false });
    const now = await cluster.client.status();
    expect(now.cluster).toBe('millrace');
    const model = modelIn(now, file.name);
    // One of the two items has its outcome; the other waits for a minute.
    expect(model).toMatchObject({ epoch: 1, partitions: 4, version: 0, learned: 1, openImpressions: 1 });
    expect(model.rejected).toBe(0);
    expect(model.stalenessMs).toBeGreaterThanOrEqual(0);
    expect(now.node.scored).toBeGreaterThanOrEqual(node.scored + 2);
    expect(now.node.batches).toBeGreaterThan(node.batches);
    expect(now.shards.map(({ id }) => id).sort()).toEqual(['shard-0', 'shard-1']);
    for (const shard of now.shards) {
      expect(shard).toMatchObject({ live: true, ready: true });
      // Item and bias at least.
      expect(shard.rows).toBeGreaterThanOrEqual(2);
      expect(shard.bytes).toBeGreaterThan(0);
      expect(shard.sequence).toBeGreaterThan(0);
      expect(shard.stalenessMs).toBeLessThan(5_000);
    }
    expect(now.shards[0].sequence).toBe(now.shards[1].sequence);
  }, soon);
});

test('cluster: commands: status and score print one JSON line, and find the cluster by its directory', async () => {
  const env = { MILL_DATA: cluster.directory, MILL_URL: undefined };
  const [status, score] = await Promise.all([
    runMillrace(['status', '--json'], { env }),
    runMillrace(['score', '-', '--json', '--url', cluster.url], { input: JSON.stringify(request) }),
  ]);
  expect(status).toMatchObject({ code: 0, stderr: '' });
  expect(status.stdout.split('\n')).toHaveLength(2);
  expect(JSON.parse(status.stdout)).toMatchObject({ cluster: 'millrace' });
  expect(score).toMatchObject({ code: 0, stderr: '' });
  const { scores } = await cluster.client.score(request);
  expect(JSON.parse(score.stdout)).toMatchObject({ model: 'ads', scores });
});

test('cluster: commands: a wrong request or address ends with code 1 and the error’s code', async () => {
  const [unknown, nobody] = await Promise.all([
    runMillrace(['score', '{"model":"nobody","items":[{}]}', '--url', cluster.url]),
    runMillrace(['status', '--url', 'http://127.0.0.1:1']),
  ]);
  expect(unknown).toMatchObject({ code: 1, stderr: expect.stringContaining('MILL_MODEL_UNKNOWN') });
  expect(nobody).toMatchObject({ code: 1, stderr: expect.stringContaining('MILL_UNREACHABLE') });
});

test('cluster: an outcome without an impression is told as rejected once its window is over', async () => {
  await createReady(countingModel('brief', { joinWindowMs: 300 }));
  await cluster.client.sendOutcomes({ model: 'brief', requestId: 'never-scored', value: 1 });
  await eventually(async () => {
    expect(await cluster.client.rejectedOutcomes('brief')).toMatchObject([
      { model: 'brief', code: 'MILL_IMPRESSION_UNKNOWN', requestId: 'never-scored' },
    ]);
  }, soon);
  expect(await cluster.client.rejectedOutcomes('ads')).toEqual([]);
  expect(modelIn(await cluster.client.status(), 'brief')).toMatchObject({ rejected: 1, learned: 0 });
});

test('cluster: impressions without an outcome are learned as negatives once their window is over', async () => {
  const file = await createReady(countingModel('quiet', { joinWindowMs: 300 }));
  const items = [{ item: 'shown' }, { item: 'shown' }, { item: 'clicked' }];
  await cluster.client.score({ model: 'quiet', requestId: 'quiet-1', items });
  await cluster.client.sendOutcomes({ model: 'quiet', requestId: 'quiet-1', item: 'clicked' });
  await eventually(async () => {
    const model = modelIn(await cluster.client.status(), 'quiet');
    expect(model).toMatchObject({ learned: 3, openImpressions: 0 });
  }, soon);
  const { states } = await foldGradients(await cluster.bus(), file);
  expect(countsOf(file, states, 'shown')).toEqual({ item: 1, bias: 0.5 });
  expect(countsOf(file, states, 'clicked').item).toBe(-0.5);
});

test('cluster: clicks published straight to NATS, in JSON and in MessagePack, are learned once', async () => {
  const file = await createReady(countingModel('stream', { joinWindowMs: 60_000 }));
  for (const requestId of ['by-json', 'by-msgpack']) {
    await cluster.client.score({ model: 'stream', requestId, items: [{ item: 'i1' }, { item: 'i2' }] });
  }
  const connection = await connect({ servers: cluster.natsUrl });
  const jetStream = connection.jetstream();
  const click = { type: 'outcome', timeMs: 1_700_000_000_000, index: 0, value: 1 };
  const json = new TextEncoder().encode(JSON.stringify({ ...click, requestId: 'by-json' }));
  const byItem = { ...click, requestId: 'by-msgpack', index: null, item: 'i2' };
  const msgpack = new Packr({ useRecords: false }).pack(byItem);
  // Each twice, as an at-least-once job does.
  for (const bytes of [json, msgpack, json, msgpack]) await jetStream.publish('mill.events.stream', bytes);
  await connection.close();
  const bus = await cluster.bus();
  await eventually(async () => {
    const { states } = await foldGradients(bus, file);
    expect(countsOf(file, states, 'i1')).toEqual({ item: -0.5, bias: -1 });
    expect(countsOf(file, states, 'i2').item).toBe(-0.5);
    expect(modelIn(await cluster.client.status(), 'stream')).toMatchObject({ learned: 2, rejected: 0 });
  }, soon);
});

test('cluster: an event that nobody can read is told as rejected, and what follows is learned', async () => {
  const file = await createReady(countingModel('junk', { joinWindowMs: 60_000 }));
  const bus = await cluster.bus();
  await cluster.client.score({ model: 'junk', requestId: 'after-junk', items: [{ item: 'i3' }] });
  for (const junk of ['', '{"type":"outcome"', '{"type":"party","timeMs":1}', '\u00c1\u00c1'])
    await bus.append('events', eventsSubject(modelNameFrom('junk')), new TextEncoder().encode(junk));
  await cluster.client.sendOutcomes({ model: 'junk', requestId: 'after-junk' });
  await eventually(async () => {
    const { states } = await foldGradients(bus, file);
    expect(countsOf(file, states, 'i3').item).toBe(-0.5);
    const rejected = await cluster.client.rejectedOutcomes('junk');
    expect(rejected.map(({ code }) => code)).toEqual(Array(4).fill('MILL_EVENT_INVALID'));
  }, soon);
});

test('cluster: both shards hold the fold of the log: equal hashes at equal sequences', async () => {
  const file = await createReady({ ...ads, name: 'twins' });
  const ids = Array.from({ length: 20 }, (_, i) => `twins-${i}`);
  for (const [i, requestId] of ids.entries()) {
    const visit = { ...request, model: 'twins', user: { user: `u${i % 5}` }, requestId, log: true };
    await cluster.client.score(visit);
    await cluster.client.sendOutcomes({ model: 'twins', requestId, index: i % 2 });
  }
  const bus = await cluster.bus();
  await eventually(async () => {
    const reports = await Promise.all(['shard-0', 'shard-1'].map((shard) => cluster.inspect(shard, 'twins')));
    const fold = await foldGradients(bus, file);
    expect(fold).toMatchObject({ rejected: 0, duplicates: 0, holes: 0 });
    // Bias, five users, two ads.
    expect(fold.states.reduce((rows, { tables }) => rows + tables[0].count, 0)).toBe(8);
    expect(modelIn(await cluster.client.status(), 'twins').learned).toBe(20);
    for (const report of reports) {
      expect(report.map(({ stateHash }) => stateHash)).toEqual(fold.hashes);
      expect(report.map(({ sequence }) => sequence)).toEqual(fold.states.map(({ sequence }) => sequence));
    }
  }, soon);
});

test('cluster: the event log holds each visit with the scores that were answered', async () => {
  const items = [{ ad: 'a1' }, { ad: 'a9' }];
  const answer = await cluster.client.score({ ...request, items, requestId: 'traced', log: true });
  const bus = await cluster.bus();
  const impression = await eventually(async () => {
    const found = (await readEvents(bus, 'ads')).find(
      (event) => event.type === 'impression' && event.requestId === 'traced',
    );
    if (found?.type !== 'impression') throw new Error('the impression is not in the log');
    return found;
  }, soon);
  expect(impression).toMatchObject({ user: { user: 'u1' }, items, version: answer.version });
  const { buffer, byteOffset, length } = impression.scores;
  const view = new DataView(buffer, byteOffset, length);
  expect(items.map((_, i) => view.getFloat32(4 * i, true))).toEqual(answer.scores.map(Math.fround));
});

/** Creates a model for one test alone, and waits until it can be scored with. */
async function createReady(file: ModelFile): Promise<ModelFile> {
  await cluster.client.createModel(file);
  await cluster.client.waitUntilReady();
  return file;
}

function modelIn<Model extends { name: string }>(status: { models: readonly Model[] }, name: string): Model {
  const found = status.models.find((model) => model.name === name);
  if (found === undefined) throw new Error(`no model ${name} in the status`);
  return found;
}
