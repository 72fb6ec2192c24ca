import { once } from 'node:events';
import { connect } from 'node:net';
import {
  createFrameReader,
  decodePartitionMap,
  type Frame,
  frameKinds,
  gradientsSubject,
  jsonBytes,
  MillraceError,
  modelNameFrom,
  type PartitionMap,
  type PartitionReport,
  packedFrame,
  packedValueOf,
} from '@millrace/protocol';
import {
  type BlobStore,
  type Bus,
  createManualClock,
  createMemoryBlobs,
  createMemoryBus,
  createMetrics,
  createTcpNetwork,
  type LogReader,
  type ManualClock,
  type MemoryBus,
} from '@millrace/runtime';
import { expect, onTestFinished, test } from 'vitest';
import { type RunningShard, type ShardOptions, startShard } from '../src/start-shard.ts';
import {
  blockOf,
  file,
  frameFrom,
  idsTable,
  keysOn,
  pullFrame,
  quietLogger,
  rowsFrom,
} from './small-cluster.ts';

/** A process's own end of the bus: cut, whatever it sends fails and it hears nothing any more. */
interface Wire {
  readonly bus: Bus;
  /** False: the connection counts as lost, and what was on its way still comes through. */
  isUp: boolean;
  cut(): void;
}

function wireTo(bus: MemoryBus): Wire {
  let isCut = false;
  const alive = <T>(work: () => Promise<T>): Promise<T> =>
    isCut ? Promise.reject(new MillraceError('MILL_LOG_UNAVAILABLE', 'the wire is cut')) : work();
  const heard = <A extends unknown[]>(listener: (...args: A) => void) => {
    return (...args: A) => {
      if (!isCut) listener(...args);
    };
  };
  const wire: Bus = {
    ensure: () => alive(() => bus.ensure()),
    append: (...args) => alive(() => bus.append(...args)),
    read: (log, options) => alive(() => bus.read(log, { ...options, onMessage: heard(options.onMessage) })),
    logState: (log) => alive(() => bus.logState(log)),
    headOf: (log, subject) => alive(() => bus.headOf(log, subject)),
    trim: (log, subject, before) => alive(() => bus.trim(log, subject, before)),
    blobs: (bucket) => alive(() => bus.blobs(bucket)),
    async kv(bucket) {
      const kv = await bus.kv(bucket);
      return {
        get: (key) => alive(() => kv.get(key)),
        put: (key, value) => alive(() => kv.put(key, value)),
        putIf: (key, value, revision) => alive(() => kv.putIf(key, value, revision)),
        delete: (key) => alive(() => kv.delete(key)),
        keys: () => alive(() => kv.keys()),
        watch: (onChange): Promise<LogReader> => alive(() => kv.watch(heard(onChange))),
      };
    },
    notify: heard((subject: string, payload: Uint8Array) => bus.notify(subject, payload)),
    onNotice: (subject, onNotice) => bus.onNotice(subject, heard(onNotice)),
    get connected() {
      return !isCut && own.isUp;
    },
    close: async () => {},
  };
  const own: Wire = {
    bus: wire,
    isUp: true,
    cut() {
      isCut = true;
    },
  };
  return own;
}

/** A store that answers nothing. */
const away = () => Promise.reject(new MillraceError('MILL_STORE_UNAVAILABLE', 'away'));
const brokenBlobs: BlobStore = { put: away, get: away, delete: away, list: away };

interface Stage {
  readonly bus: MemoryBus;
  readonly clock: ManualClock;
  start(
    shard: string,
    over?: Partial<ShardOptions>,
  ): Promise<{ readonly running: RunningShard; readonly wire: Wire }>;
  /** Closes a shard and lets time go by until it has left; gives how long that took, ms. */
  leave(running: RunningShard): Promise<number>;
  map(): Promise<PartitionMap | null>;
  /** Lets `ms` go by in steps, and everything happen that this sets off. */
  pass(ms: number): Promise<void>;
  append(partition: number, payload: Uint8Array): Promise<number>;
}

async function openStage(): Promise<Stage> {
  const bus = createMemoryBus();
  const clock = createManualClock(1_000_000);
  await (await bus.kv('models')).put('ads', jsonBytes(file));
  const turns = async () => {
    for (let i = 0; i < 10; i += 1) await new Promise((resolve) => setImmediate(resolve));
  };
  return {
    bus,
    clock,
    async start(shard, over = {}) {
      const wire = wireTo(bus);
      const running = await startShard({
        network: createTcpNetwork(),
        bus: wire.bus,
        clock,
        logger: quietLogger,
        metrics: createMetrics({ service: shard }),
        zone: '',
        cluster: 'demo',
        shard,
        host: '127.0.0.1',
        port: 0,
        advertiseHost: '127.0.0.1',
        replicas: 1,
        minReplicas: 1,
        stores: [],
        snapshotEveryMs: 60_000,
        snapshotChains: 2,
        drainMsMax: 20_000,
        connectionsMax: 16,
        onFailed: (error) => {
          throw error;
        },
        ...over,
      });
      return { running, wire };
    },
    async leave(running) {
      const startedMs = clock.now();
      let hasLeft = false;
      const left = running.close().then(() => {
        hasLeft = true;
      });
      await turns();
      while (!hasLeft) {
        clock.advanceBy(100);
        await turns();
      }
      await left;
      return clock.now() - startedMs;
    },
    async map() {
      const entry = await (await bus.kv('maps')).get('ads');
      return entry ? decodePartitionMap(entry.value) : null;
    },
    async pass(ms) {
      await turns();
      for (let passed = 0; passed < ms; passed += 100) {
        clock.advanceBy(100);
        await turns();
      }
    },
    append: (partition, payload) =>
      bus.append('gradients', gradientsSubject(modelNameFrom('ads'), partition), payload),
  };
}

/** Sends one frame behind a hello and gives the answer to it. */
async function ask(port: number, frame: Uint8Array): Promise<Frame> {
  const socket = connect({ host: '127.0.0.1', port });
  const frames: Frame[] = [];
  const reader = createFrameReader();
  socket.on('data', (chunk) => {
    reader.push(chunk, ({ bytes }) => frames.push(frameFrom(bytes)));
    if (frames.length === 2) socket.end();
  });
  const hello = { cluster: 'demo', role: 'test' };
  socket.write(packedFrame(frameKinds.hello, { requestId: 0, epoch: 0 }, hello));
  socket.write(frame);
  await once(socket, 'close');
  return frames[1];
}

async function reportsOf({ port }: RunningShard): Promise<readonly PartitionReport[]> {
  const frame = packedFrame(frameKinds.inspect, { requestId: 1, epoch: 0 }, { model: 'ads' });
  const { partitions } = packedValueOf((await ask(port, frame)).bytes);
  return partitions as readonly PartitionReport[];
}

/** Partitions that a shard answers pulls for. */
async function answers({ port }: RunningShard): Promise<readonly number[]> {
  const found: number[] = [];
  for (let partition = 0; partition < 4; partition += 1) {
    const frame = await ask(port, pullFrame({ table: idsTable, keys: keysOn(partition, 1) }));
    if (frame.header.kind === frameKinds.rows) found.push(partition);
    else expect(packedValueOf(frame.bytes).code).toBe('MILL_MAP_STALE');
  }
  return found;
}

/** Partitions by owner. */
const split = (map: PartitionMap) =>
  Object.fromEntries(
    map.shards.map((shard, place) => [
      shard,
      map.owners.flatMap((owners, partition) => (owners.includes(place) ? [partition] : [])),
    ]),
  );

test('shard: one alone proposes the map, holds everything and answers', async () => {
  const stage = await openStage();
  await stage.append(2, blockOf({ partition: 2, sequence: 1, keys: keysOn(2, 2), gradient: 4 }));
  const { running } = await stage.start('a');
  onTestFinished(async () => void (await stage.leave(running)));
  await stage.pass(100);
  expect([await stage.map(), running.ready]).toMatchObject([{ epoch: 1, shards: ['a'] }, true]);
  expect(await answers(running)).toEqual([0, 1, 2, 3]);
  const rows = await ask(running.port, pullFrame({ table: idsTable, keys: keysOn(2, 1) }));
  // SGD at rate 0.5 with gradient 4 from a wide weight of 0.
  expect([rowsFrom(rows).rows[0][0], rowsFrom(rows).applied]).toEqual([-2, [[2, 1]]]);
});

test('shard: a model that is created later is taken on', async () => {
  const stage = await openStage();
  await (await stage.bus.kv('models')).delete('ads');
  const { running } = await stage.start('a');
  onTestFinished(async () => void (await stage.leave(running)));
  expect(await stage.map()).toBeNull();
  await (await stage.bus.kv('models')).put('ads', jsonBytes(file));
  await stage.pass(100);
  expect(await answers(running)).toEqual([0, 1, 2, 3]);
});

test('shard: two owners at equal sequence have equal states', async () => {
  const stage = await openStage();
  await stage.append(1, blockOf({ partition: 1, sequence: 1, keys: keysOn(1, 5) }));
  const { running: a } = await stage.start('a', { replicas: 2 });
  const { running: b } = await stage.start('b', { replicas: 2 });
  onTestFinished(async () => {
    await stage.leave(a);
    await stage.leave(b);
  });
  await stage.pass(200);
  for (let sequence = 2; sequence < 30; sequence += 1) {
    const partition = sequence % 4;
    const keys = keysOn(partition, 3 + sequence);
    const payload = blockOf({ partition, sequence, previous: 0, keys, gradient: 1 / sequence });
    await stage.append(partition, payload);
    if (sequence % 5 === 0) await stage.append(partition, payload);
    if (sequence % 7 === 0) await stage.append(partition, payload.slice(0, 40));
  }
  await stage.pass(100);
  const [ofA, ofB] = [await reportsOf(a), await reportsOf(b)];
  expect(ofA.map(({ partition, ready }) => [partition, ready])).toEqual(
    [0, 1, 2, 3].map((partition) => [partition, true]),
  );
  expect(ofB).toEqual(ofA);
  expect(new Set(ofA.map(({ stateHash }) => stateHash)).size).toBe(4);
  expect(ofA.reduce((sum, { duplicates, rejected }) => sum + duplicates + rejected, 0)).toBe(5 + 4);
});

test('shard: one that is cut off leaves the map when its lease lapses, and is back when it starts again', async () => {
  const stage = await openStage();
  for (let partition = 0; partition < 4; partition += 1) {
    await stage.append(partition, blockOf({ partition, sequence: 1, keys: keysOn(partition, 3) }));
  }
  const { running: a } = await stage.start('a');
  const { running: b, wire } = await stage.start('b');
  onTestFinished(async () => void (await stage.leave(a)));
  await stage.pass(500);
  const both = split((await stage.map())!);
  expect([both.a.length > 0, both.b.length > 0, both.a.length + both.b.length]).toEqual([true, true, 4]);
  expect([await answers(a), await answers(b)]).toEqual([both.a, both.b]);
  const epochBefore = (await stage.map())!.epoch;

  wire.cut();
  await stage.pass(3_500);
  expect((await stage.map())!.epoch).toBe(epochBefore);
  await stage.pass(1_500);
  expect(await stage.map()).toMatchObject({ epoch: epochBefore + 1, shards: ['a'] });
  expect(await answers(a)).toEqual([0, 1, 2, 3]);

  for (let partition = 0; partition < 4; partition += 1) {
    await stage.append(partition, blockOf({ partition, sequence: 2, keys: keysOn(partition, 5) }));
  }
  const hashes = new Map((await reportsOf(a)).map(({ partition, stateHash }) => [partition, stateHash]));
  const { running: again } = await stage.start('b');
  onTestFinished(async () => void (await stage.leave(again)));
  // At every moment of the move somebody answers for each partition.
  for (let i = 0; i < 5; i += 1) {
    const somewhere = new Set([...(await answers(a)), ...(await answers(again))]);
    expect([...somewhere].sort()).toEqual([0, 1, 2, 3]);
    await stage.pass(100);
  }
  // One map gives it its share, the next lets the other go once it answers.
  expect((await stage.map())!.epoch).toBe(epochBefore + 3);
  expect(split((await stage.map())!)).toEqual(both);
  expect([await answers(a), await answers(again)]).toEqual([both.a, both.b]);
  for (const { partition, stateHash, sequence } of await reportsOf(again)) {
    expect([stateHash, sequence]).toEqual([hashes.get(partition), 5 + partition]);
  }
  await stage.leave(b);
}, 20_000);

test('shard: who comes while the one that proposes maps is cut off has its share once that one is back', async () => {
  const stage = await openStage();
  const { running: a, wire } = await stage.start('a');
  onTestFinished(async () => void (await stage.leave(a)));
  await stage.pass(500);
  wire.isUp = false;
  const { running: b } = await stage.start('b');
  onTestFinished(async () => void (await stage.leave(b)));
  await stage.pass(1_000);
  expect(await stage.map()).toMatchObject({ epoch: 1, shards: ['a'] });
  wire.isUp = true;
  await stage.pass(2_000);
  expect((await stage.map())!.shards).toEqual(['a', 'b']);
  expect([a.ready, b.ready]).toEqual([true, true]);
});

test('shard: one that leaves serves on until the others are ready, then it is gone', async () => {
  const stage = await openStage();
  for (let partition = 0; partition < 4; partition += 1)
    await stage.append(partition, blockOf({ partition, sequence: 1, keys: keysOn(partition, 3) }));
  const { running: a } = await stage.start('a');
  // The one that stays cannot read its log yet.
  let isReady = false;
  const wire = wireTo(stage.bus);
  const { headOf } = wire.bus;
  const held: Bus = Object.assign(wire.bus, {
    headOf: (...args: Parameters<Bus['headOf']>) =>
      isReady ? headOf(...args) : Promise.reject(new Error('not yet')),
  });
  const { running: b } = await stage.start('b', { bus: held });
  onTestFinished(async () => void (await stage.leave(b)));
  await stage.pass(500);
  expect(await answers(a)).toEqual([0, 1, 2, 3]);
  let hasLeft = false;
  const left = a.close().then(() => {
    hasLeft = true;
  });
  await stage.pass(5_000);
  expect([hasLeft, await answers(a), split((await stage.map())!).b]).toEqual([
    false,
    [0, 1, 2, 3],
    [0, 1, 2, 3],
  ]);
  isReady = true;
  await stage.pass(10_000);
  await left;
  expect([hasLeft, (await stage.map())!.shards, await answers(b)]).toEqual([true, ['b'], [0, 1, 2, 3]]);
  await expect((await stage.bus.kv('shards')).keys()).resolves.toEqual(['b']);
}, 20_000);

test('shard: one that nobody can take over from leaves at once', async () => {
  const stage = await openStage();
  const { running: alone } = await stage.start('a');
  await stage.pass(500);
  expect(await stage.leave(alone)).toBe(0);
  const { running: cut, wire } = await stage.start('a');
  const { running: other } = await stage.start('b');
  onTestFinished(async () => void (await stage.leave(other)));
  await stage.pass(500);
  wire.cut();
  expect(await stage.leave(cut)).toBe(0);
});

test('shard: all of them told to leave while another is starting: what is read is answered all along', async () => {
  const stage = await openStage();
  for (let partition = 0; partition < 4; partition += 1)
    await stage.append(partition, blockOf({ partition, sequence: 1, keys: keysOn(partition, 3) }));
  const { running: a } = await stage.start('a');
  const { running: b } = await stage.start('b');
  await stage.pass(500);
  for (const { port } of [a, b]) {
    const reader = connect({ host: '127.0.0.1', port });
    onTestFinished(() => void reader.destroy());
    await once(reader, 'connect');
  }
  const left: string[] = [];
  const leaving = [a.close().then(() => left.push('a')), b.close().then(() => left.push('b'))];
  await stage.pass(700);
  expect(left).toEqual([]);
  const { running: c } = await stage.start('c');
  onTestFinished(async () => void (await stage.leave(c)));
  for (let i = 0; i < 20; i += 1) {
    const readable: number[] = [];
    if (!left.includes('a')) readable.push(...(await answers(a)));
    if (!left.includes('b')) readable.push(...(await answers(b)));
    if (c.ready) readable.push(...(await answers(c)));
    expect([...new Set(readable)].sort()).toEqual([0, 1, 2, 3]);
    if (c.ready) break;
    await stage.pass(20);
  }
  await stage.pass(3_000);
  await Promise.all(leaving);
  expect(await answers(c)).toEqual([0, 1, 2, 3]);
});

test('shard: all of them told to leave at the same time do not wait for each other', async () => {
  const stage = await openStage();
  const { running: a } = await stage.start('a');
  const { running: b } = await stage.start('b');
  await stage.pass(500);
  const took = await Promise.all([stage.leave(a), stage.leave(b)]);
  expect(Math.max(...took)).toBeLessThanOrEqual(200);
});

test('shard: one whose partitions nobody takes waits for its time and goes', async () => {
  const stage = await openStage();
  const { running: a } = await stage.start('a', { drainMsMax: 3_000 });
  const { running: b } = await stage.start('b', {
    stores: [{ name: 'shared', blobs: brokenBlobs }],
  });
  onTestFinished(async () => void (await stage.leave(b)));
  await stage.pass(500);
  expect(await answers(a)).toEqual([0, 1, 2, 3]);
  expect(await stage.leave(a)).toBe(3_000);
});

test('shard: starts from its own files after a restart, and from the shared store with an empty disk', async () => {
  const stage = await openStage();
  const shared = await stage.bus.blobs('snapshots');
  const own = createMemoryBlobs();
  const storesOf = (disk: BlobStore) => [
    { name: 'own', blobs: disk },
    { name: 'shared', blobs: shared },
  ];
  for (let partition = 0; partition < 4; partition += 1)
    await stage.append(partition, blockOf({ partition, sequence: 1, keys: keysOn(partition, 3) }));
  const { running: first, wire } = await stage.start('a', { stores: storesOf(own), snapshotChains: 2 });
  await stage.pass(61_000);
  // Stores are written a chunk a turn.
  for (let turn = 0; turn < 200; turn += 1) await stage.pass(20);
  expect([(await own.list('ads/')).length, (await shared.list('ads/')).length]).toEqual([4, 4]);
  await stage.append(1, blockOf({ partition: 1, sequence: 2, keys: keysOn(1, 3) }));
  await stage.pass(100);
  const hashes = (await reportsOf(first)).map(({ stateHash }) => stateHash);
  // Killed.
  wire.cut();
  await stage.leave(first);
  for (const disk of [own, createMemoryBlobs()]) {
    const { running, wire: its } = await stage.start('a', { stores: storesOf(disk) });
    await stage.pass(200);
    expect(running.ready).toBe(true);
    expect((await reportsOf(running)).map(({ stateHash }) => stateHash)).toEqual(hashes);
    its.cut();
    await stage.leave(running);
  }
}, 20_000);

test('shard: close leaves no timer behind', async () => {
  const stage = await openStage();
  const { running } = await stage.start('a');
  await stage.pass(300);
  await stage.leave(running);
  await stage.pass(100);
  expect(stage.clock.timersWaiting).toBe(0);
});

test('shard: a pull frame without a table does not take the process down', async () => {
  const stage = await openStage();
  const { running } = await stage.start('a');
  onTestFinished(async () => void (await stage.leave(running)));
  await stage.pass(100);
  const empty = packedFrame(frameKinds.inspect, { requestId: 1, epoch: 0 }, {}).slice(0, 16);
  new DataView(empty.buffer).setUint32(0, 16, true);
  new DataView(empty.buffer).setUint8(6, frameKinds.pull);
  const refused = await ask(running.port, empty);
  expect(packedValueOf(refused.bytes).code).toBe('MILL_FRAME_INVALID');
  expect(await answers(running)).toEqual([0, 1, 2, 3]);
});
