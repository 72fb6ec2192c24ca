import { partitionOf, tableLayouts } from '@millrace/core';
import { frameKinds, type MillraceError, type PartitionMap, packedFrame } from '@millrace/protocol';
import { expect, test } from 'vitest';
import {
  allPartitions,
  bare,
  both,
  even,
  file,
  firstRows,
  halves,
  ids,
  keysOf,
  marksOf,
  odd,
  onEven,
  openStage,
  openTwins,
  partitions,
  requestOf,
  requestTimeoutMs,
  serve,
  steppedRows,
} from './pull-stage.ts';
import { scriptShard } from './scripted-shard.ts';

test('pull client: a pull is cut by shard and put together in the order of the keys', async () => {
  const stage = await openStage();
  const learned = keysOf(500);
  const a = await serve({ shard: 'a', held: even, learned });
  const b = await serve({ shard: 'b', held: odd, learned });
  await stage.lease('a', a.port);
  await stage.lease('b', b.port);
  await stage.map(1, ['a', 'b'], halves);
  const request = requestOf(keysOf(500));
  expect(await stage.client.pull(request)).toEqual({ degraded: false });
  expect(Array.from(request.out)).toEqual(steppedRows(request));
  expect(marksOf(request)).toEqual(allPartitions.map((partition) => [partition, 100 + partition]));
  expect([a.pulled() > 100, b.pulled() > 100, a.pulled() + b.pulled()]).toEqual([true, true, 500]);
});

test('pull client: keys that nobody has created get first values, and tables differ in width', async () => {
  const { client } = await openTwins();
  const request = requestOf(keysOf(40), { layout: bare });
  await client.pull(request);
  expect(Array.from(request.out)).toEqual(firstRows(request));
});

test('pull client: one key, no keys, and keys of one partition alone', async () => {
  const { client, a, b } = await openTwins();
  const none = requestOf(new Uint32Array(0));
  expect(await client.pull(none)).toEqual({ degraded: false });
  expect([none.marks.count, a.pulled() + b.pulled()]).toEqual([0, 0]);
  const one = requestOf(keysOf(1));
  await client.pull(one);
  expect([Array.from(one.out), one.marks.count]).toEqual([steppedRows(one), 1]);
});

test('pull client: a pull of more keys than one frame takes is cut, and keeps its order', async () => {
  const { client } = await openTwins();
  const request = requestOf(keysOf(40_000));
  await client.pull(request);
  const wanted = firstRows(request);
  // The first 3,000 keys are those that were learned.
  for (let i = 0; i < 3_000 * ids.dim; i += 1) wanted[i] = Math.fround(wanted[i] - 1);
  expect(Array.from(request.out)).toEqual(wanted);
  expect(new Set(marksOf(request).map(([partition]) => partition)).size).toBe(partitions);
}, 20_000);

test('pull client: many pulls at once do not mix', async () => {
  const { client } = await openTwins();
  const requests = Array.from({ length: 50 }, (_, i) => {
    const keys = keysOf(20 + i).subarray(2 * (i % 11));
    return requestOf(new Uint32Array(keys), i % 3 === 0 ? { layout: bare } : {});
  });
  await Promise.all(requests.map((request) => client.pull(request)));
  for (const request of requests) {
    expect(Array.from(request.out)).toEqual(
      request.layout === ids ? steppedRows(request) : firstRows(request),
    );
  }
});

test('pull client: failover: a shard that closes while pulls are under way costs none of them', async () => {
  const { client, a, b } = await openTwins();
  const keys = keysOf(200);
  const outcomes: Promise<unknown>[] = [];
  for (let i = 0; i < 60; i += 1) {
    const request = requestOf(keys);
    outcomes.push(
      client.pull(request).then((outcome) => {
        expect(outcome).toEqual({ degraded: false });
        expect(Array.from(request.out)).toEqual(steppedRows(request));
      }),
    );
    if (i === 20) void a.close();
    if (i % 4 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await Promise.all(outcomes);
  expect(b.pulled()).toBeGreaterThan(60 * 100);
}, 20_000);

test('pull client: failover: a shard that breaks off instead of answering is passed over for half a second', async () => {
  const stage = await openTwins();
  const { client, clock, b } = stage;
  const broken = await scriptShard((_frame, socket) => {
    socket.destroy();
    return undefined;
  });
  await stage.lease('a', broken.port);
  for (let i = 0; i < 3; i += 1) {
    const request = requestOf(keysOf(100));
    expect(await client.pull(request)).toEqual({ degraded: false });
    expect(Array.from(request.out)).toEqual(steppedRows(request));
  }
  expect([broken.asked.length, b.pulled()]).toEqual([1, 300]);
  clock.advanceBy(500);
  await client.pull(requestOf(keysOf(100)));
  expect([broken.asked.length, b.pulled()]).toEqual([2, 400]);
});

test('pull client: failover: a shard that does not answer in time is passed over', async () => {
  const stage = await openTwins();
  const silent = await scriptShard();
  await stage.lease('a', silent.port);
  // Keys whose first owner is the silent one, so that the clock can be moved with no other answer under way.
  const request = requestOf(keysOf(200).filter((_, i, keys) => onEven(keys, i)));
  const pulling = stage.client.pull(request);
  await silent.untilAsked(1);
  stage.clock.advanceBy(requestTimeoutMs);
  expect(await pulling).toEqual({ degraded: false });
  expect(Array.from(request.out)).toEqual(steppedRows(request));
});

test('pull client: failover: one that was silent and is back is asked when the other one dies', async () => {
  const stage = await openTwins();
  const silent = await scriptShard();
  await stage.lease('a', silent.port);
  const request = requestOf(keysOf(200).filter((_, i, keys) => onEven(keys, i)));
  const pulling = stage.client.pull(request);
  await silent.untilAsked(1);
  stage.clock.advanceBy(requestTimeoutMs);
  await pulling;
  // It is passed over for seconds to come, when the other one goes.
  await stage.lease('a', stage.a.port);
  await stage.b.close();
  const all = requestOf(keysOf(200));
  expect(await stage.client.pull(all)).toEqual({ degraded: false });
  expect(Array.from(all.out)).toEqual(steppedRows(all));
});

test('pull client: failover: a shard that is not ready, or does not know the table yet, is passed over', async () => {
  for (const code of ['MILL_NOT_READY', 'MILL_TABLE_UNKNOWN', 'MILL_OVERLOADED']) {
    const stage = await openTwins();
    const busy = await scriptShard(({ header }) =>
      packedFrame(
        frameKinds.refusal,
        { requestId: header.requestId, epoch: 1 },
        { code, message: 'not now' },
      ),
    );
    await stage.lease('a', busy.port);
    const request = requestOf(keysOf(100));
    expect(await stage.client.pull(request)).toEqual({ degraded: false });
    expect([Array.from(request.out), busy.asked.length]).toEqual([steppedRows(request), 1]);
  }
});

test('pull client: a shard that came back at another port is found there', async () => {
  const stage = await openTwins();
  await stage.client.pull(requestOf(keysOf(10)));
  await stage.a.close();
  const again = await serve({ shard: 'a', held: allPartitions, learned: keysOf(3_000) });
  await stage.lease('a', again.port);
  const request = requestOf(keysOf(100));
  await stage.client.pull(request);
  expect([Array.from(request.out), again.pulled() > 0]).toEqual([steppedRows(request), true]);
});

test('pull client: a newer map that comes with a refusal is installed, and the pull goes on by it', async () => {
  const stage = await openStage();
  const newer: PartitionMap = { model: 'ads', epoch: 2, shards: ['a', 'b'], owners: halves };
  const learned = keysOf(300);
  const a = await serve({ shard: 'a', held: even, learned, map: () => newer });
  const b = await serve({ shard: 'b', held: odd, learned, map: () => newer });
  await stage.lease('a', a.port);
  await stage.lease('b', b.port);
  await stage.map(
    1,
    ['a'],
    allPartitions.map(() => [0]),
  );
  const request = requestOf(keysOf(300));
  expect(await stage.client.pull(request)).toEqual({ degraded: false });
  expect(Array.from(request.out)).toEqual(steppedRows(request));
  expect(stage.view.mapOf('ads')).toEqual(newer);
  const before = a.pulled();
  await stage.client.pull(requestOf(keysOf(300)));
  // By the new map right away: its half alone.
  expect(a.pulled() - before).toBeLessThan(200);
});

test('pull client: a refusal with no newer map sends the pull to the other owner', async () => {
  const stage = await openStage();
  const learned = keysOf(300);
  const same: PartitionMap = { model: 'ads', epoch: 1, shards: ['a', 'b'], owners: both };
  for (const map of [() => same, () => null]) {
    const a = await serve({ shard: 'a', held: [], map });
    const b = await serve({ shard: 'b', held: allPartitions, learned });
    await stage.lease('a', a.port);
    await stage.lease('b', b.port);
    await stage.map(1, ['a', 'b'], both);
    const request = requestOf(keysOf(300));
    expect(await stage.client.pull(request)).toEqual({ degraded: false });
    expect(Array.from(request.out)).toEqual(steppedRows(request));
    stage.clock.advanceBy(500);
  }
});

test('pull client: all owners gone: default gives first values and says degraded, fail throws', async () => {
  const { client, a, b } = await openTwins();
  await client.pull(requestOf(keysOf(10)));
  await a.close();
  await b.close();
  const request = requestOf(keysOf(100), { onAbsent: 'default' });
  expect(await client.pull(request)).toEqual({ degraded: true });
  expect([Array.from(request.out), request.marks.count]).toEqual([firstRows(request), 0]);
  await expect(client.pull(requestOf(keysOf(100)))).rejects.toMatchObject({
    code: 'MILL_SHARD_UNAVAILABLE',
    message: 'no owner answered for 100 of 100 keys of ads',
  });
});

test('pull client: where one half has no owner, the other half is real', async () => {
  const stage = await openStage();
  const a = await serve({ shard: 'a', held: even, learned: keysOf(200) });
  await stage.lease('a', a.port);
  // "b" has never told an address; two partitions have no owner at all.
  await stage.map(
    1,
    ['a', 'b'],
    allPartitions.map((partition) => (partition === 3 ? [] : [partition % 2])),
  );
  const request = requestOf(keysOf(200), { onAbsent: 'default' });
  expect(await stage.client.pull(request)).toEqual({ degraded: true });
  const wanted = firstRows(request).map((w, i) => {
    const key = Math.floor(i / ids.dim);
    const partition = partitionOf(request.keys[2 * key], request.keys[2 * key + 1], partitions);
    return partition % 2 === 0 ? Math.fround(w - 1) : w;
  });
  expect(Array.from(request.out)).toEqual(wanted);
  expect(new Set(marksOf(request).map(([partition]) => partition))).toEqual(new Set(even));
});

test('pull client: without a map nothing can be said, not even first values', async () => {
  const { client } = await openStage();
  for (const onAbsent of ['default', 'fail'] as const) {
    await expect(client.pull(requestOf(keysOf(1), { onAbsent }))).rejects.toMatchObject({
      code: 'MILL_NOT_READY',
    });
  }
});

test('pull client: rows of another width are an error that no other owner can mend', async () => {
  const { client } = await openTwins();
  const other = tableLayouts({
    ...file,
    tables: [{ name: 'ids', embedding: { dim: 5, optimizer: { type: 'sgd', learningRate: 1 } } }],
  })[0];
  await expect(
    client.pull(requestOf(keysOf(10), { layout: other, onAbsent: 'default' })),
  ).rejects.toMatchObject({
    code: 'MILL_DIM_MISMATCH',
  });
});

test('pull client: an answer that is not what was asked for is an error', async () => {
  const stage = await openTwins();
  const liar = await scriptShard(({ header }) =>
    packedFrame(frameKinds.report, { requestId: header.requestId, epoch: 1 }, {}),
  );
  await stage.lease('a', liar.port);
  await stage.lease('b', liar.port);
  const failed = stage.client.pull(requestOf(keysOf(10)));
  const error = await failed.then(
    () => null,
    (thrown: MillraceError) => thrown.code,
  );
  expect(['MILL_DIM_MISMATCH', 'MILL_FRAME_INVALID']).toContain(error);
});

test('pull client: an answer that comes after its pull was given up writes nothing', async () => {
  const stage = await openStage();
  const late = await scriptShard();
  const real = await serve({ shard: 'b', held: allPartitions, learned: keysOf(50) });
  await stage.lease('a', late.port);
  await stage.map(
    1,
    ['a'],
    allPartitions.map(() => [0]),
  );
  const request = requestOf(keysOf(50), { onAbsent: 'default' });
  const pulling = stage.client.pull(request);
  // Four tries, each of which times out.
  let given = false;
  void pulling.then(() => {
    given = true;
  });
  while (!given) {
    stage.clock.advanceBy(requestTimeoutMs);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(await pulling).toEqual({ degraded: true });
  const before = Array.from(request.out);
  for (const { bytes, header } of late.asked) {
    // A true answer, by the real shard's own hand.
    const [, count] = new Uint32Array(bytes.buffer, 16, 2);
    const rows = new Uint8Array(32 + 4 * count * ids.dim).fill(0x41);
    new DataView(rows.buffer).setUint32(0, rows.length, true);
    rows.set(bytes.subarray(4, 16), 4);
    rows[6] = frameKinds.rows;
    new Uint32Array(rows.buffer, 16).set([count, ids.dim, 0, 0]);
    expect(header.kind).toBe(frameKinds.pull);
    late.send(rows);
  }
  // When a later pull is answered, the late ones have long been read.
  await stage.lease('a', real.port);
  await stage.client.pull(requestOf(keysOf(5), { onAbsent: 'default' }));
  expect(Array.from(request.out)).toEqual(before);
});
