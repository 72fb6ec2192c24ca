import {
  decodeReadLog,
  encodeHeads,
  encodePartitionMap,
  encodeShardLease,
  headsSubject,
  type Impression,
  jsonBytes,
  type LearningCounters,
  MillraceError,
  type ModelFile,
  type ModelLease,
  modelNameFrom,
  type Rejection,
} from '@millrace/protocol';
import type { Bus, MemoryBus } from '@millrace/runtime';
import { expect, test } from 'vitest';
import { jsonText } from '../src/http/json-words.ts';
import { scanItems } from '../src/http/scan-items.ts';
import { layered, linear, openStage, sigmoid, turn } from './small-serving.ts';

const counters: LearningCounters = {
  batches: 4,
  learned: 30,
  positives: 7,
  openImpressions: 2,
  rejectedOutcomes: 1,
  invalidEvents: 0,
  duplicateOutcomes: 0,
  earlyOutcomes: 0,
  lateOutcomes: 0,
  ignoredOutcomes: 0,
  duplicateImpressions: 0,
  droppedImpressions: 0,
  sampledOut: 0,
  rejections: [],
};

function tellHeads(
  bus: Bus,
  heads: { partitions?: number[]; rejections?: readonly Rejection[]; model?: string },
): void {
  const { partitions = [0, 0], rejections = [], model = 'ads' } = heads;
  bus.notify(
    headsSubject(modelNameFrom(model)),
    encodeHeads({ model, timeMs: 1, partitions, dense: 0, counters: { ...counters, rejections } }),
  );
}

async function putLease(bus: Bus, shard: string, change: Partial<ModelLease> & { draining?: boolean } = {}) {
  const { draining = false, ...model } = change;
  const counts = { rows: 5, bytes: 100, sequence: 9, applied: 1, duplicates: 0, rejected: 0, stalenessMs: 3 };
  const routing = { ready: 2, readyPartitions: 'Aw==', behind: 0 };
  const models = [{ model: 'ads', epoch: 1, partitions: 2, ...routing, ...counts, ...model }];
  const lease = { shard, startedMs: 1, renewal: 1, host: 'h', port: 70, zone: '', draining, models };
  await (await bus.kv('shards')).put(shard, encodeShardLease(lease));
}

async function putMap(bus: Bus, owners: number[][], former?: number[][]): Promise<void> {
  const map = { model: 'ads', epoch: 1, shards: ['a', 'b'], owners, ...(former && { former }) };
  await (await bus.kv('maps')).put('ads', encodePartitionMap(map));
}

test('scoring core: score: probabilities in the order of the items, and where they come from', async () => {
  const { core, rows } = await openStage();
  rows.weights.set('x', 2).set('y', -1);
  const answer = await core.score({
    model: 'ads',
    requestId: 'req:1',
    user: { who: 'eve' },
    items: [{ ad: 'y' }, { ad: 'x' }, { ad: 'unknown' }, { ad: 'x' }],
  });
  const { scores, ...rest } = answer;
  expect(rest).toEqual({
    requestId: 'req:1',
    model: 'ads',
    version: 0,
    stalenessMs: null,
    degraded: false,
    engine: 'plain',
  });
  [sigmoid(-1), sigmoid(2), 0.5, sigmoid(2)].forEach((score, i) => {
    expect(scores[i]).toBeCloseTo(score, 6);
  });
  // One pull, each key once: y, eve, x, unknown.
  expect(rows.asked.map(({ count, model, onAbsent }) => [count, model, onAbsent])).toEqual([
    [4, 'ads', 'default'],
  ]);
});

test('scoring core: score: requests of one moment share one batch and one pull, and each gets its own', async () => {
  const { core, rows } = await openStage();
  rows.weights.set('x', 1).set('y', 3);
  const [a, b] = await Promise.all([
    core.score({ items: [{ ad: 'x' }, { ad: 'y' }] }),
    core.score({ items: [{ ad: 'y' }] }),
  ]);
  expect(rows.asked.length).toBe(1);
  expect([a.scores.length, b.scores.length]).toEqual([2, 1]);
  expect(a.scores[1]).toBe(b.scores[0]);
  expect([a.requestId, b.requestId]).toEqual(['made-1', 'made-2']);
  expect(core.status().node).toEqual({ scored: 3, batches: 1, meanBatchRows: 3, queueRows: 0 });
});

test('scoring core: score: items that come again in the same words are known, and score as before', async () => {
  const { core, rows } = await openStage();
  rows.weights.set('x', 1).set('y', 3);
  const text = jsonText(Buffer.from('[{"ad":"x"},{"ad":"y"},{"ad":"x"}]'));
  const ask = () => core.score({ items: scanItems(text, 0)?.items ?? [] });
  const first = await ask();
  expect(core.totals.knownItems).toBe(0);
  rows.weights.set('y', 2);
  const second = await ask();
  expect(core.totals.knownItems).toBe(3);
  expect(second.scores[0]).toBe(first.scores[0]);
  expect(second.scores[1]).toBeCloseTo(sigmoid(2), 6);
});

test('scoring core: score: a bad item spoils its own request and no other of the batch', async () => {
  const { core, rows, events } = await openStage();
  rows.weights.set('x', 2);
  const outcomes = await Promise.allSettled([
    core.score({ requestId: 'good-1', items: [{ ad: 'x' }] }),
    core.score({ requestId: 'bad', items: [{ ad: 'x' }, { ad: 'x', price: 'dear' }, { ad: 'x' }] }),
    core.score({ requestId: 'bad-user', user: { who: ['eve'] }, items: [{ ad: 'x' }] }),
    core.score({ requestId: 'good-2', items: [{ ad: 'x' }, { ad: 'none' }] }),
  ]);
  expect(rows.asked.length).toBe(1);
  expect(outcomes).toMatchObject([
    { status: 'fulfilled', value: { requestId: 'good-1' } },
    {
      status: 'rejected',
      reason: {
        code: 'MILL_FEATURE_INVALID',
        message: 'cannot use items[1].price: it must be a finite number, got string',
        details: { path: 'items[1].price' },
      },
    },
    { status: 'rejected', reason: { code: 'MILL_FEATURE_INVALID', details: { path: 'user.who' } } },
    { status: 'fulfilled', value: { requestId: 'good-2' } },
  ]);
  const scores = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? outcome.value.scores : []));
  [sigmoid(2), sigmoid(2), 0.5].forEach((score, i) => {
    expect(scores[i]).toBeCloseTo(score, 6);
  });
  await turn();
  const logged = (await events()).map((event) => event.type === 'impression' && event.requestId);
  expect(logged).toEqual(['good-1', 'good-2']);
  expect(core.status().node.scored).toBe(3);
});

test('scoring core: score: a batch of nothing but bad requests pulls nothing', async () => {
  const { core, rows } = await openStage();
  await expect(core.score({ items: [{ price: true }, { price: [] }] })).rejects.toMatchObject({
    code: 'MILL_FEATURE_INVALID',
  });
  expect(rows.asked.length).toBe(0);
  expect((await core.score({ items: [{}] })).scores).toEqual([0.5]);
});

test('scoring core: score: the impression says what was asked and what was answered', async () => {
  const { core, rows, events, clock } = await openStage();
  rows.weights.set('x', 2);
  clock.advanceTo(12_345);
  const request = { user: { who: 'eve' }, context: { hour: 9 }, items: [{ ad: 'x', note: 'kept' }, {}] };
  const { scores, requestId } = await core.score(request);
  await turn();
  const [logged] = (await events()) as readonly Impression[];
  expect(logged).toEqual({
    type: 'impression',
    requestId,
    timeMs: 12_345,
    ...request,
    scores: logged.scores,
    version: 0,
    engine: 'plain',
    reads: logged.reads,
  });
  const bytes = new Uint8Array(logged.scores);
  expect(Array.from(new Float32Array(bytes.buffer))).toEqual(scores.map(Math.fround));
});

test('scoring core: score: the impression says where the rows of its own keys were read, and whether some were not', async () => {
  const { core, rows, events } = await openStage();
  rows.sequence = 41;
  // Enough items that some keys lie in partition 0, which the stub says it read; partition 1 gave no answer.
  const items = Array.from({ length: 12 }, (_, i) => ({ ad: `x${i}` }));
  await core.score({ items });
  rows.degraded = true;
  rows.sequence = 42;
  await core.score({ items });
  rows.degraded = false;
  await core.score({ items: [{}] });
  await turn();
  const logged = (await events()) as readonly Impression[];
  const reads = logged.map((impression) => decodeReadLog(impression.reads!));
  expect(reads).toEqual([
    [{ table: 0, partition: 0, sequence: 41 }],
    [{ table: 0, partition: 0, sequence: 42 }],
    [],
  ]);
  expect(logged.map(({ degraded }) => degraded)).toEqual([undefined, true, undefined]);
});

test('scoring core: score: log false logs nothing', async () => {
  const { core, events } = await openStage();
  await core.score({ items: [{ ad: 'x' }], log: false });
  await core.score({ items: [{ ad: 'y' }], log: true });
  await turn();
  expect((await events()).length).toBe(1);
});

test('scoring core: score: what its caller will never see is no impression', async () => {
  const { core, events, rows } = await openStage();
  const caller = { gone: false };
  const left = core.score({ requestId: 'left', items: [{ ad: 'x' }] }, caller);
  rows.gate = turn().then(() => {
    caller.gone = true;
  });
  await left;
  rows.gate = null;
  await core.score({ requestId: 'waits', items: [{ ad: 'x' }] }, { gone: false });
  await turn();
  expect(await events()).toMatchObject([{ requestId: 'waits' }]);
});

test('scoring core: score: what nobody waits for any more is not computed, and its batch goes on', async () => {
  const { core, rows } = await openStage();
  const [expired, waits] = await Promise.allSettled([
    core.score({ items: [{ ad: 'x' }] }, { gone: true }),
    core.score({ items: [{ ad: 'y' }] }, { gone: false }),
  ]);
  expect(expired).toMatchObject({ status: 'rejected', reason: { code: 'MILL_TIMEOUT' } });
  expect(waits).toMatchObject({ status: 'fulfilled', value: { scores: [0.5] } });
  // One key of one ad: nothing was read for the other.
  expect(rows.asked.map(({ count }) => count)).toEqual([1]);
});

test('scoring core: score: an event log that is out of reach holds up the impression, not the score', async () => {
  let isOut = false;
  const over = (real: MemoryBus): Bus => {
    const bent: Bus = Object.create(real);
    bent.kv = (bucket) => real.kv(bucket);
    bent.headOf = (log, subject) => real.headOf(log, subject);
    bent.read = (log, options) => real.read(log, options);
    bent.onNotice = (subject, onNotice) => real.onNotice(subject, onNotice);
    bent.append = (log, subject, payload) =>
      isOut
        ? Promise.reject(new MillraceError('MILL_LOG_UNAVAILABLE', 'out of reach'))
        : real.append(log, subject, payload);
    return bent;
  };
  const { core, events, clock } = await openStage([linear], { over });
  isOut = true;
  expect((await core.score({ items: [{}] })).scores).toEqual([0.5]);
  await turn();
  expect((await events()).length).toBe(0);
  await expect(core.acceptOutcomes([{ requestId: 'r' }])).rejects.toMatchObject({
    code: 'MILL_LOG_UNAVAILABLE',
  });
  isOut = false;
  clock.advanceBy(1_000);
  await turn();
  expect([core.lostImpressions, (await events()).length]).toEqual([0, 1]);
  // Half a join window later nothing could be learned from it.
  isOut = true;
  await core.score({ items: [{}] });
  await turn();
  clock.advanceBy(15_000);
  await turn();
  expect([core.lostImpressions, (await events()).length]).toEqual([1, 1]);
});

test('scoring core: score: degraded when first values stand in, and the error when even that is impossible', async () => {
  const { core, rows } = await openStage();
  rows.degraded = true;
  expect(await core.score({ items: [{}] })).toMatchObject({ degraded: true, scores: [0.5] });
  rows.failure = new MillraceError('MILL_NOT_READY', 'no map yet');
  await expect(core.score({ items: [{}] })).rejects.toMatchObject({ code: 'MILL_NOT_READY' });
  rows.failure = null;
  rows.degraded = false;
  expect(await core.score({ items: [{}] })).toMatchObject({ degraded: false });
});

test('scoring core: score: staleness is the age of the newest heads that the rows have reached', async () => {
  const { bus, core, rows, clock } = await openStage();
  const staleness = async () => (await core.score({ items: [{ ad: 'x' }], log: false })).stalenessMs;
  expect(await staleness()).toBeNull();
  tellHeads(bus, { partitions: [5, 99] });
  rows.sequence = 5;
  clock.advanceBy(40);
  // Partition 1 was not read.
  expect(await staleness()).toBe(40);
  tellHeads(bus, { partitions: [6, 99] });
  clock.advanceBy(2);
  expect(await staleness()).toBe(42);
  rows.sequence = 6;
  expect(await staleness()).toBe(2);
  expect(core.status().models[0].stalenessMs).toBe(2);
});

test('scoring core: models: an unknown one, none named among two, none at all, one that is not served yet', async () => {
  const none = await openStage([]);
  await expect(none.core.score({ items: [{}] })).rejects.toMatchObject({
    code: 'MILL_MODEL_UNKNOWN',
    message: 'the request names no model, and there are 0: name one in "model"',
  });
  const { core, bus } = await openStage([linear, layered]);
  await expect(core.score({ items: [{}] })).rejects.toMatchObject({
    code: 'MILL_MODEL_UNKNOWN',
    message: 'the request names no model, and there are 2: name one in "model"',
  });
  for (const model of ['shop', 'constructor']) {
    await expect(core.score({ model, items: [{}] })).rejects.toMatchObject({
      code: 'MILL_MODEL_UNKNOWN',
      message: `there is no model "${model}"`,
    });
  }
  expect((await core.score({ model: 'deep', items: [{}] })).model).toBe('deep');
  await (await bus.kv('models')).put('late', jsonBytes({ ...linear, name: 'late' }));
  await expect(core.score({ model: 'late', items: [{}] })).rejects.toMatchObject({ code: 'MILL_NOT_READY' });
  await core.reconcile();
  expect((await core.score({ model: 'late', items: [{}] })).scores).toEqual([0.5]);
});

test('scoring core: score: more than the queue holds is refused', async () => {
  const limits = { rowsMax: 2, delayUs: 0, queueRowsMax: 3, lanes: 1 };
  const { core, rows } = await openStage([linear], { limits });
  let open = () => {};
  rows.gate = new Promise((resolve) => {
    open = resolve;
  });
  const first = core.score({ items: [{}, {}] });
  await turn();
  const second = core.score({ items: [{}, {}, {}] });
  expect(core.status().node.queueRows).toBe(3);
  await expect(core.score({ items: [{}] })).rejects.toMatchObject({ code: 'MILL_OVERLOADED' });
  open();
  expect([(await first).scores.length, (await second).scores.length]).toEqual([2, 3]);
});

test('scoring core: createModel: the first time creates, the same file again does not', async () => {
  const { core } = await openStage([]);
  const first = await core.createModel('ads', linear);
  expect(first).toMatchObject({
    created: true,
    model: { name: 'ads', partitions: 2, engine: 'plain', version: 0 },
  });
  const reordered = Object.fromEntries(Object.entries(linear).reverse());
  expect(await core.createModel('ads', reordered)).toMatchObject({ created: false });
  expect(core.models().map(({ name }) => name)).toEqual(['ads']);
});

test('scoring core: createModel: another file under a name that is taken is refused', async () => {
  const { core, bus } = await openStage();
  const stored = (await (await bus.kv('models')).get('ads'))!;
  const others: ModelFile[] = [
    { ...linear, seed: 2 },
    { ...linear, partitions: 3 },
    { ...linear, fields: linear.fields.slice(0, 2) },
    { ...linear, label: 'bought' },
  ];
  for (const other of others) {
    await expect(core.createModel('ads', other)).rejects.toMatchObject({ code: 'MILL_MODEL_EXISTS' });
  }
  expect(await (await bus.kv('models')).get('ads')).toEqual(stored);
});

test('scoring core: createModel: a file in which only the learning differs is taken', async () => {
  const { core, bus, view } = await openStage();
  const changed = { ...linear, learning: { joinWindowMs: 5_000, batchExamplesMax: 64 } };
  expect(await core.createModel('ads', changed)).toMatchObject({ created: false });
  expect(JSON.parse(new TextDecoder().decode((await (await bus.kv('models')).get('ads'))!.value))).toEqual(
    changed,
  );
  expect(view.models.get('ads')).toEqual(changed);
});

test('scoring core: createModel: files that break a rule, and names that do not fit', async () => {
  const { core } = await openStage([]);
  const cases: readonly (readonly [string, unknown])[] = [
    ['shop', linear],
    ['Ads', { ...linear, name: 'Ads' }],
    ['ads', null],
    ['ads', 'text'],
    ['ads', { ...linear, tables: [] }],
    ['ads', { ...linear, fields: [{ name: 'ad', type: 'sparse', table: 'nowhere' }] }],
  ];
  for (const [name, file] of cases) {
    await expect(core.createModel(name, file)).rejects.toMatchObject({ code: 'MILL_MODEL_INVALID' });
  }
  expect(core.models()).toEqual([]);
});

test('scoring core: createModel: two at once, one creates and both get the model', async () => {
  const { core } = await openStage([]);
  const answers = await Promise.all([core.createModel('ads', linear), core.createModel('ads', linear)]);
  expect(answers.map(({ created }) => created).sort()).toEqual([false, true]);
  expect((await core.score({ items: [{}] })).scores).toEqual([0.5]);
});

test('scoring core: outcomes: stored for their models, with defaults and the time of the node', async () => {
  const { core, events, clock } = await openStage([linear, layered]);
  clock.advanceTo(20_000);
  const answer = await core.acceptOutcomes([
    { model: 'ads', requestId: 'r1' },
    { model: 'ads', requestId: 'r2', index: 3, value: 0 },
    { model: 'deep', requestId: 'r3', item: 42 },
  ]);
  expect(answer).toEqual({ accepted: 3 });
  expect(await events('ads')).toEqual([
    { type: 'outcome', requestId: 'r1', timeMs: 20_000, index: 0, value: 1 },
    { type: 'outcome', requestId: 'r2', timeMs: 20_000, index: 3, value: 0 },
  ]);
  expect(await events('deep')).toEqual([
    { type: 'outcome', requestId: 'r3', timeMs: 20_000, item: '42', value: 1 },
  ]);
});

test('scoring core: outcomes: kinds of the model, with amounts and their own time; others are refused, nothing is stored', async () => {
  const file: ModelFile = {
    ...linear,
    learning: { ...linear.learning, outcomes: [{ name: 'click' }, { name: 'purchase' }] },
  };
  const { core, events } = await openStage([file]);
  const bought = { requestId: 'r1', outcome: 'purchase', value: 19.5, timeMs: 5 };
  expect(await core.acceptOutcomes([bought])).toEqual({ accepted: 1 });
  const stored = { type: 'outcome', index: 0, ...bought };
  expect(await events('ads')).toEqual([stored]);
  await expect(core.acceptOutcomes([bought, { requestId: 'r2', outcome: 'like' }])).rejects.toMatchObject({
    code: 'MILL_BAD_REQUEST',
    message: '[1].outcome: wanted one of click, purchase, found "like"',
  });
  expect(await events('ads')).toEqual([stored]);
});

test('scoring core: outcomes: more than a bus takes at once are stored in order', async () => {
  const { core, events } = await openStage([linear]);
  const outcomes = Array.from({ length: 3_000 }, (_, i) => ({ requestId: `r${i}` }));
  expect(await core.acceptOutcomes(outcomes)).toEqual({ accepted: 3_000 });
  expect((await events('ads')).map((event) => event.type === 'outcome' && event.requestId)).toEqual(
    outcomes.map(({ requestId }) => requestId),
  );
});

test('scoring core: impressions tell how rows are kept where that rounds them', async () => {
  for (const [rowFormat, told] of [
    ['int8', 'int8'],
    ['float32', undefined],
  ] as const) {
    const { core, events } = await openStage([linear], { rowFormat });
    await core.score({ items: [{ ad: 'a' }] });
    const [impression] = await events();
    expect(impression).toMatchObject({ type: 'impression', ...(told && { rowFormat: told }) });
    expect('rowFormat' in impression).toBe(told !== undefined);
  }
});

test('scoring core: impressions carry the rate at which their negatives are learned', async () => {
  const file: ModelFile = { ...linear, learning: { ...linear.learning, negativeRate: 0.25 } };
  const { core, events } = await openStage([file]);
  await core.score({ items: [{}] });
  await turn();
  expect(await events('ads')).toMatchObject([{ type: 'impression', negativeRate: 0.25 }]);
});

test('scoring core: outcomes: one for an unknown model, and nothing of the whole array is stored', async () => {
  const { core, events } = await openStage([linear, layered]);
  const outcomes = [
    { model: 'ads', requestId: 'r1' },
    { model: 'shop', requestId: 'r2' },
    { model: 'deep', requestId: 'r3' },
  ];
  await expect(core.acceptOutcomes(outcomes)).rejects.toMatchObject({ code: 'MILL_MODEL_UNKNOWN' });
  await expect(core.acceptOutcomes([outcomes[0], { requestId: 'r4' }])).rejects.toMatchObject({
    code: 'MILL_MODEL_UNKNOWN',
  });
  expect([await events('ads'), await events('deep')]).toEqual([[], []]);
});

test('scoring core: rejected outcomes: newest first, the newest 100, of one model or all', async () => {
  const { core, bus } = await openStage([linear, layered]);
  const rejection = (n: number): Rejection => ({
    code: 'MILL_IMPRESSION_UNKNOWN',
    requestId: `r${n}`,
    reason: 'none',
    timeMs: n,
  });
  tellHeads(bus, { rejections: [rejection(1), rejection(2)] });
  tellHeads(bus, { rejections: [rejection(3)], model: 'deep' });
  tellHeads(bus, {});
  expect(core.rejectedOutcomes(undefined)).toEqual([
    { model: 'deep', ...rejection(3) },
    { model: 'ads', ...rejection(2) },
    { model: 'ads', ...rejection(1) },
  ]);
  expect(core.rejectedOutcomes('ads').map(({ requestId }) => requestId)).toEqual(['r2', 'r1']);
  expect(core.rejectedOutcomes('shop')).toEqual([]);
  for (let n = 10; n < 200; n += 1) tellHeads(bus, { rejections: [rejection(n)] });
  const kept = core.rejectedOutcomes(undefined).map(({ timeMs }) => timeMs);
  expect(kept).toEqual(Array.from({ length: 100 }, (_, i) => 199 - i));
});

test('scoring core: ready: once every partition of every model has a holder that answers', async () => {
  const { core, bus, clock } = await openStage();
  expect(core.ready).toBe(false);
  await putMap(bus, [[0], [0, 1]]);
  expect(core.ready).toBe(false);
  // Base64 of the bits 0b10 and 0b11: "a" has partition 1 alone.
  await putLease(bus, 'a', { ready: 1, readyPartitions: 'Ag==' });
  await putLease(bus, 'b');
  // Partition 0 is on "a" alone, which is still catching up.
  expect(core.ready).toBe(false);
  // A former owner that still serves it is as good.
  await putMap(bus, [[0], [0, 1]], [[1], []]);
  expect(core.ready).toBe(true);
  await putMap(bus, [[0], [0, 1]]);
  expect(core.ready).toBe(false);
  await putLease(bus, 'a');
  expect([core.ready, core.models()[0].ready]).toEqual([true, true]);
  clock.advanceBy(4_500);
  expect(core.ready).toBe(false);
  const empty = await openStage([]);
  expect(empty.core.ready).toBe(true);
});

test('scoring core: status: models, shards and this node', async () => {
  const { core, bus } = await openStage();
  await putMap(bus, [[0], [1]], [[1], []]);
  await putLease(bus, 'a', { ready: 0, readyPartitions: 'Ag==', behind: 7 });
  await putLease(bus, 'b', { stalenessMs: null, sequence: 4, draining: true });
  tellHeads(bus, {});
  expect(core.status()).toEqual({
    cluster: 'demo',
    models: [
      {
        name: 'ads',
        version: 0,
        engine: 'plain',
        epoch: 1,
        partitions: 2,
        replicas: 1,
        moving: 1,
        moves: [{ partition: 0, former: ['b'], owners: [{ shard: 'a', ready: false }] }],
        stalenessMs: null,
        learned: 30,
        openImpressions: 2,
        rejected: 1,
        joins: {
          duplicateImpressions: 0,
          duplicateOutcomes: 0,
          early: 0,
          late: 0,
          ignored: 0,
          dropped: 0,
          sampledOut: 0,
        },
        measures: null,
      },
    ],
    shards: [
      {
        id: 'a',
        address: 'h:70',
        zone: '',
        live: true,
        draining: false,
        ready: false,
        owned: 2,
        readyPartitions: 1,
        rows: 5,
        bytes: 100,
        sequence: 9,
        behind: 7,
        stalenessMs: 3,
      },
      {
        id: 'b',
        address: 'h:70',
        zone: '',
        live: true,
        draining: true,
        ready: true,
        owned: 2,
        readyPartitions: 2,
        rows: 5,
        bytes: 100,
        sequence: 4,
        behind: 0,
        stalenessMs: null,
      },
    ],
    node: { scored: 0, batches: 0, meanBatchRows: 0, queueRows: 0 },
  });
});

test('scoring core: close: answers what it took, stores its impressions, and takes no more', async () => {
  const { core, rows, events } = await openStage();
  let open = () => {};
  rows.gate = new Promise((resolve) => {
    open = resolve;
  });
  const waiting = core.score({ items: [{}] });
  await turn();
  const closing = core.close();
  await turn();
  await expect(core.score({ items: [{}] })).rejects.toMatchObject({ code: 'MILL_CLOSED' });
  open();
  expect((await waiting).scores).toEqual([0.5]);
  await closing;
  expect((await events()).length).toBe(1);
});

test('core: servedBy: items, passes and the time of the last', async () => {
  const { core, clock } = await openStage([linear]);
  expect(core.servedBy('ads')).toMatchObject({ scored: 0, batches: 0, answered: 0, lastMs: null });
  await core.score({ model: 'ads', items: [{ ad: 'a' }, { ad: 'b' }] });
  expect(core.servedBy('ads')).toMatchObject({ scored: 2, batches: 1, answered: 1, lastMs: clock.now() });
  expect(() => core.servedBy('other')).toThrow(expect.objectContaining({ code: 'MILL_MODEL_UNKNOWN' }));
});
