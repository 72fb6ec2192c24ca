import type { EngineName } from '@millrace/model';
import {
  decodeEvent,
  decodeReadLog,
  encodeEvent,
  encodeReadLog,
  eventsSubject,
  gradientsSubject,
  type Impression,
  modelNameFrom,
} from '@millrace/protocol';
import { readStretch, trimBehind } from '@millrace/snapshot';
import { expect, test } from 'vitest';
import { type ExplainOptions, explainRequest } from '../../src/history/explain-request.ts';
import { deep, linear, openPastCluster, type PastCluster } from './past-cluster.ts';

const explain = ({ source }: PastCluster, requestId: string, change: Partial<ExplainOptions> = {}) =>
  explainRequest({
    source,
    file: deep,
    requestId,
    engine: null,
    onScan() {},
    onFold() {},
    ...change,
  });

test.each<EngineName>(['plain', 'cpu', 'wasm'])(
  'explain: engine %s: every score is computed again to the bit, whatever batch it was in',
  async (engine) => {
    const past = await openPastCluster(deep, engine);
    const visits = await past.visit(50);
    const versions = new Set<number>();
    for (const [requestId, { request, answer }] of visits) {
      const explained = await explain(past, requestId);
      expect([requestId, explained.equal]).toEqual([requestId, true]);
      expect(explained).toMatchObject({ engine, version: answer.version, uncertainKeys: 0, remarks: [] });
      expect(explained.items.map(({ recomputed }) => recomputed)).toEqual(answer.scores.map(Math.fround));
      expect(explained.found.impression.items).toEqual(request.items);
      versions.add(answer.version);
    }
    // Scores of many versions, or nothing was learned meanwhile and the test shows little.
    expect(versions.size).toBeGreaterThan(5);
  },
  60_000,
);

test('explain: a ranked request: what was shown, in that order, to the bit, and the click on the right item', async () => {
  const past = await openPastCluster(deep);
  await past.visit(30);
  const { core, updater } = past.cluster;
  const items = Array.from({ length: 8 }, (_, i) => ({ item: `i${i}`, tags: ['t1'], price: i }));
  const exploration = { type: 'softmax', temperature: 5 } as const;
  const request = { model: deep.name, user: { user: 'u1' }, items, exploration, count: 3 };
  for (let visit = 0; visit < 5; visit += 1) {
    const requestId = `ranked-${visit}`;
    const { ranking } = await core.rank({ ...request, requestId });
    await core.acceptOutcomes([{ requestId, index: ranking[1].index }]);
    await updater.flush();
    const explained = await explain(past, requestId);
    expect(explained.equal).toBe(true);
    expect(
      explained.items.map(({ requested, logged, propensity }) => [requested, logged, propensity]),
    ).toEqual(ranking.map(({ index, score, propensity }) => [index, Math.fround(score), propensity]));
    const clicked = explained.found.learned.filter((part) => part.clicked === 1);
    expect(clicked.map(({ index }) => explained.items[index].requested)).toEqual([ranking[1].index]);
    expect(explained.found.outcomes.map(({ refused }) => refused)).toEqual([null]);
  }
});

/** The impression of a request as it stands in the log. */
async function impressionOf({ bus }: PastCluster, requestId: string, file = deep): Promise<Impression> {
  const subject = eventsSubject(modelNameFrom(file.name));
  const through = await bus.headOf('events', subject);
  let found: Impression | null = null;
  await readStretch(bus, { log: 'events', subject, from: 1, through }, ({ payload }) => {
    const event = decodeEvent(payload);
    if (event.type === 'impression' && event.requestId === requestId) found = event;
    return 'on';
  });
  if (found === null) throw new Error(`${requestId} is not in the log`);
  return found;
}

/** Logs a changed copy of an impression under another id. */
async function logCopy(
  past: PastCluster,
  requestId: string,
  change: Partial<Impression>,
  file = deep,
): Promise<string> {
  const copy = { ...(await impressionOf(past, requestId, file)), requestId: 'copy', ...change };
  await past.bus.append('events', eventsSubject(modelNameFrom(file.name)), encodeEvent(copy));
  return copy.requestId;
}

test('explain: rows or weights of another moment give other scores', async () => {
  const past = await openPastCluster(deep);
  await past.visit(30);
  const { reads, version } = await impressionOf(past, 'visit-30');
  const earlier = decodeReadLog(reads!).map((read) => ({ ...read, sequence: 1 }));
  const rowsOfOld = await logCopy(past, 'visit-30', { reads: encodeReadLog(earlier) });
  const explained = await explain(past, rowsOfOld);
  expect([explained.equal, explained.remarks]).toEqual([false, []]);
  await logCopy(past, 'visit-30', { requestId: 'copy-2', version: 1 });
  expect(version).toBeGreaterThan(1);
  expect((await explain(past, 'copy-2')).equal).toBe(false);
});

test('explain: a node that kept its rows rounded: near is what to expect, how near is told, and so is why', async () => {
  const past = await openPastCluster(deep);
  await past.visit(30);
  const { scores } = await impressionOf(past, 'visit-30');
  expect(await explain(past, 'visit-30')).toMatchObject({ promise: 'bits', differenceMax: 0, remarks: [] });
  const view = new DataView(scores.buffer, scores.byteOffset);
  const [first] = (await explain(past, 'visit-30')).items;
  view.setFloat32(0, first.logged + 0.001, true);
  const rounded = await logCopy(past, 'visit-30', { scores, rowFormat: 'int8' });
  const explained = await explain(past, rounded);
  expect(explained).toMatchObject({ promise: 'near', equal: false });
  expect(explained.differenceMax).toBeCloseTo(0.001, 6);
  expect(explained.remarks).toEqual([expect.stringMatching(/^The node kept rows in int8, .* rounded/)]);
  // What it had just pulled was exact, and then every bit is the same all the same.
  await logCopy(past, 'visit-29', { requestId: 'copy-2', rowFormat: 'float16' });
  expect(await explain(past, 'copy-2')).toMatchObject({ promise: 'near', equal: true, differenceMax: 0 });
});

test('explain: a partition that was read in parts is tried at both sequences', async () => {
  const past = await openPastCluster(deep);
  await past.visit(30);
  const reads = decodeReadLog((await impressionOf(past, 'visit-30')).reads!);
  const both = [...reads, ...reads.map((read) => ({ ...read, sequence: 1 }))];
  const copy = await logCopy(past, 'visit-30', { reads: encodeReadLog(both.slice(0, reads.length + 2)) });
  const explained = await explain(past, copy);
  expect(explained.equal).toBe(true);
  expect(explained.uncertainKeys).toBeGreaterThan(0);
  expect(explained.remarks).toEqual([expect.stringContaining('read in parts')]);
});

test('explain: degraded: first values stand in for what was not read, and if they do not explain it, it says so', async () => {
  const past = await openPastCluster(deep);
  // Scored before anything was learned: with first values alone.
  await past.visit(1);
  await past.visit(20);
  const { scores } = await impressionOf(past, 'visit-1');
  const none = encodeReadLog([]);
  const whole = await logCopy(past, 'visit-1', { reads: none, degraded: true });
  expect(await explain(past, whole)).toMatchObject({
    equal: true,
    remarks: [expect.stringContaining('With them the scores are the same')],
  });
  // Now everything is learned, but some rows of it are said to have been read later: first values are tried for those too.
  const late = decodeReadLog((await impressionOf(past, 'visit-1')).reads!).slice(0, 2);
  const reads = encodeReadLog(late.map((read) => ({ ...read, sequence: read.sequence + 1_000 })));
  await logCopy(past, 'visit-1', { requestId: 'copy-2', reads, degraded: true });
  expect((await explain(past, 'copy-2')).equal).toBe(true);
  const wrong = new Uint8Array(scores);
  wrong[2] ^= 0x40;
  await logCopy(past, 'visit-1', { requestId: 'copy-3', reads: none, degraded: true, scores: wrong });
  expect(await explain(past, 'copy-3')).toMatchObject({
    equal: false,
    remarks: [expect.stringContaining('cannot be computed again exactly')],
  });
});

test('explain: goes on from snapshots when the log before them is trimmed; what was before is gone', async () => {
  const past = await openPastCluster(deep);
  await past.visit(15);
  await past.snapshot();
  const trims = past.cluster.shard.states.map((state) => (state?.sequence ?? 0) + 1);
  await past.visit(15);
  for (const [partition, before] of trims.entries()) {
    const subject = gradientsSubject(modelNameFrom(deep.name), partition);
    await trimBehind(past.bus, { log: 'gradients', subject }, before, 1);
  }
  expect((await explain(past, 'visit-29')).equal).toBe(true);
  await expect(explain(past, 'visit-12')).rejects.toMatchObject({ code: 'MILL_HISTORY_GONE' });
});

test('explain: an id that was never logged, and an impression of another writer, are told', async () => {
  const past = await openPastCluster(deep);
  await past.visit(2);
  await expect(explain(past, 'nobody')).rejects.toMatchObject({
    code: 'MILL_IMPRESSION_UNKNOWN',
    message: expect.stringContaining('"nobody"'),
  });
  const { reads: _, ...foreign } = await impressionOf(past, 'visit-1');
  const payload = encodeEvent({ ...foreign, requestId: 'foreign' });
  await past.bus.append('events', eventsSubject(modelNameFrom(deep.name)), payload);
  await expect(explain(past, 'foreign')).rejects.toMatchObject({ code: 'MILL_BAD_REQUEST' });
  await logCopy(past, 'visit-1', { requestId: 'copy-2', engine: 'abacus' });
  await expect(explain(past, 'copy-2')).rejects.toMatchObject({ code: 'MILL_ENGINE_UNAVAILABLE' });
});

test('explain: linear: effects of the fields and the bias make the logit', async () => {
  const past = await openPastCluster(linear);
  await past.visit(40);
  const logit = (p: number) => Math.log(p / (1 - p));
  const { equal, items, version } = await explain(past, 'visit-40', { file: linear });
  expect(equal).toBe(true);
  // It has no dense weights, and versions all the same: those of its moments.
  expect(version).toBeGreaterThan(0);
  const biases = items.map(({ logged, effects }) => {
    expect(effects).not.toBeNull();
    return logit(logged) - Object.values(effects!).reduce((sum, effect) => sum + effect, 0);
  });
  // The bias is the same for all items, and learned by now.
  for (const bias of biases) expect(bias).toBeCloseTo(biases[0], 4);
  expect(Math.abs(biases[0])).toBeGreaterThan(0.01);
});

test('explain: tells which outcomes came, what they taught, and what came too late', async () => {
  const past = await openPastCluster(linear);
  const { cluster, bus } = past;
  const items = [{ item: 'a' }, { item: 'b' }, { item: 'c' }];
  const say = (index: number, value: 0 | 1) =>
    cluster.core.acceptOutcomes([{ model: linear.name, requestId: 'told', index, value }]);
  const about = async () => (await explain(past, 'told', { file: linear })).found;
  await cluster.core.score({ model: linear.name, requestId: 'told', items });
  await bus.settle();
  expect(await about()).toMatchObject({ outcomes: [], learned: [], isOpen: true });
  await say(1, 1);
  await say(1, 1);
  await say(7, 1);
  const clicked = { index: 1, shown: 1, clicked: 1 };
  expect((await about()).learned).toEqual([{ ...clicked, isPublished: false }]);
  await cluster.updater.flush();
  expect((await about()).learned).toEqual([{ ...clicked, isPublished: true }]);
  cluster.clock.advanceBy(6_000);
  await cluster.core.score({ model: linear.name, requestId: 'later', items });
  await bus.settle();
  await say(2, 1);
  await cluster.updater.flush();
  const end = await about();
  expect(end.outcomes.map(({ outcome, refused }) => [outcome.index, refused])).toEqual([
    [1, null],
    [1, 'the item had its outcome already'],
    [7, 'the impression has no item 7'],
    [2, 'its join window was over'],
  ]);
  const learnedOf = (index: number) => ({ index, shown: 1, clicked: 0, isPublished: true });
  expect(end.learned).toEqual([{ ...clicked, isPublished: true }, learnedOf(0), learnedOf(2)]);
  expect(end.isOpen).toBe(false);
});
