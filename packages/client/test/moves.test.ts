/** Reads while shards come, go and freeze: real shards on a bus of this process, over real connections. */
import { holdersOf } from '@millrace/core';
import { gradientsSubject, jsonBytes, modelNameFrom, partitionSetFrom } from '@millrace/protocol';
import {
  type Bus,
  type ClusterView,
  createMemoryBus,
  createMetrics,
  createTcpNetwork,
  systemClock,
  watchCluster,
} from '@millrace/runtime';
import { type RunningShard, startShard } from '@millrace/shard';
import { expect, onTestFinished, test } from 'vitest';
import { createPullClient, type PullClient } from '../src/pull-client.ts';
import { openFrozenPort } from './frozen-port.ts';
import { allPartitions, blockOf, file, keysOf, logger, requestOf, steppedRows } from './pull-stage.ts';

const keys = keysOf(400);
/** For a machine that does seven other things. */
const limitMs = 30_000;

interface Stage {
  readonly bus: Bus;
  readonly view: ClusterView;
  readonly client: PullClient;
  start(shard: string, over?: { readonly bus?: Bus; readonly minReplicas?: number }): Promise<RunningShard>;
  /** Resolves once these shards alone are in the map, and all of them answer for all they own. */
  settled(shards: readonly string[]): Promise<void>;
}

/** A cluster whose log holds one step of every key. */
async function openStage(options: { readonly requestTimeoutMs: number }): Promise<Stage> {
  const bus = createMemoryBus();
  await (await bus.kv('models')).put(file.name, jsonBytes(file));
  for (const partition of allPartitions) {
    const subject = gradientsSubject(modelNameFrom(file.name), partition);
    await bus.append('gradients', subject, blockOf(partition, keys));
  }
  const view = await watchCluster(bus, systemClock);
  const client = createPullClient({
    ...options,
    network: createTcpNetwork(),
    view,
    clock: systemClock,
    cluster: 'demo',
    role: 'test',
  });
  onTestFinished(async () => {
    client.close();
    await view.close();
  });
  const hasAll = (shard: string) => {
    const sight = view.shards().find(({ lease }) => lease.shard === shard);
    const lease = sight?.live ? sight.lease.models[0] : undefined;
    const map = view.mapOf(file.name);
    if (!lease || !map || lease.epoch !== map.epoch) return false;
    const isReady = partitionSetFrom(lease.readyPartitions);
    return allPartitions.every((p) => !holdersOf(map, p).includes(shard) || isReady(p));
  };
  return {
    bus,
    view,
    client,
    async start(shard, over = {}) {
      const running = await startShard({
        bus,
        network: createTcpNetwork(),
        clock: systemClock,
        logger,
        metrics: createMetrics({ service: shard }),
        cluster: 'demo',
        shard,
        host: '127.0.0.1',
        port: 0,
        advertiseHost: '127.0.0.1',
        zone: '',
        replicas: 2,
        minReplicas: 2,
        stores: [],
        snapshotEveryMs: 0,
        snapshotChains: 2,
        drainMsMax: 10_000,
        connectionsMax: 64,
        onFailed: (error) => expect.fail(error.message),
        ...over,
      });
      let closing: Promise<void> | null = null;
      const close = () => {
        closing ??= running.close();
        return closing;
      };
      onTestFinished(close);
      return { port: running.port, ready: running.ready, close };
    },
    settled: (shards) =>
      view.waitFor(() => {
        const map = view.mapOf(file.name);
        return map?.shards.join() === [...shards].sort().join() && !map.former && shards.every(hasAll);
      }, limitMs),
  };
}

interface Readers {
  /** Resolves once `count` more reads have ended. */
  more(count: number): Promise<void>;
  stop(): Promise<void>;
}

/** Four that read all keys again and again; every read must be whole and right. */
function readAlong(client: PullClient): Readers {
  let stopped = false;
  let reads = 0;
  let wake = () => {};
  const read = async () => {
    while (!stopped) {
      const request = requestOf(keys, { onAbsent: 'default' });
      expect(await client.pull(request)).toEqual({ degraded: false });
      expect(Array.from(request.out)).toEqual(steppedRows(request));
      reads += 1;
      wake();
      // The shards share this thread.
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const reading = Promise.all([read(), read(), read(), read()]);
  reading.catch(() => wake());
  return {
    async more(count) {
      const wanted = reads + count;
      const enough = (async () => {
        while (reads < wanted) await new Promise<void>((resolve) => (wake = resolve));
      })();
      await Promise.race([enough, reading]);
    },
    async stop() {
      stopped = true;
      await reading;
    },
  };
}

/** A bus whose gradient log cannot be read before the gate opens: what a long log is like. */
function behindGate(bus: Bus): { readonly bus: Bus; open(): void } {
  let open = () => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const read: Bus['read'] = async (log, options) => {
    if (log === 'gradients') await gate;
    return bus.read(log, options);
  };
  const slow = new Proxy(bus, {
    get(target, name) {
      if (name === 'read') return read;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  return { bus: slow, open: () => open() };
}

test('moves: two shards added at once, then the first two taken away at once: no read fails or is degraded', async () => {
  const stage = await openStage({ requestTimeoutMs: 5_000 });
  const [a, b] = [await stage.start('a'), await stage.start('b')];
  await stage.settled(['a', 'b']);
  const readers = readAlong(stage.client);
  await readers.more(8);
  await Promise.all([stage.start('c'), stage.start('d'), readers.more(20)]);
  await stage.settled(['a', 'b', 'c', 'd']);
  await readers.more(8);
  await Promise.all([a.close(), b.close(), readers.more(20)]);
  await stage.settled(['c', 'd']);
  await readers.more(8);
  await Promise.all([stage.start('e'), stage.start('f'), readers.more(20)]);
  await stage.settled(['c', 'd', 'e', 'f']);
  await readers.stop();
}, 120_000);

test('moves: owners that have nothing yet are asked for nothing, however long they take', async () => {
  const stage = await openStage({ requestTimeoutMs: 5_000 });
  for (const shard of ['a', 'b']) await stage.start(shard);
  await stage.settled(['a', 'b']);
  const readers = readAlong(stage.client);
  const gate = behindGate(stage.bus);
  const [c, d] = await Promise.all([
    stage.start('c', { bus: gate.bus }),
    stage.start('d', { bus: gate.bus }),
  ]);
  await stage.view.waitFor(() => stage.view.mapOf(file.name)?.shards.length === 4, limitMs);
  await readers.more(20);
  // Everything that moves is still with those who had it.
  const map = stage.view.mapOf(file.name);
  const answering = allPartitions.map(
    (p) =>
      map &&
      holdersOf(map, p)
        .filter((shard) => shard < 'c')
        .join(),
  );
  expect(answering.map((shards) => shards?.length === 3)).toEqual(allPartitions.map(() => true));
  expect([c.ready, d.ready]).toEqual([false, false]);
  gate.open();
  await Promise.all([stage.settled(['a', 'b', 'c', 'd']), readers.more(20)]);
  await readers.stop();
}, 120_000);

test('moves: an owner that freezes costs all reads together less than one time limit', async () => {
  const requestTimeoutMs = 20_000;
  const stage = await openStage({ requestTimeoutMs });
  const [a] = [await stage.start('a'), await stage.start('b')];
  await stage.settled(['a', 'b']);
  const way = await openFrozenPort(a.port);
  // The same cluster, by way of a port that can freeze.
  const view: ClusterView = {
    ...stage.view,
    shards: () =>
      stage.view.shards().map(({ live, lease }) => ({
        live,
        lease: lease.shard === 'a' ? { ...lease, port: way.port } : lease,
      })),
  };
  let hedged = 0;
  const client = createPullClient({
    network: createTcpNetwork(),
    view,
    clock: systemClock,
    cluster: 'demo',
    role: 'test',
    requestTimeoutMs,
    onHedge: () => {
      hedged += 1;
    },
  });
  onTestFinished(() => client.close());
  const read = async () => {
    const request = requestOf(keys);
    await client.pull(request);
    expect(Array.from(request.out)).toEqual(steppedRows(request));
  };
  for (let i = 0; i < 150; i += 1) await read();
  way.freeze();
  const beganMs = systemClock.monotonicMs();
  for (let i = 0; i < 300; i += 1) await read();
  expect(systemClock.monotonicMs() - beganMs).toBeLessThan(requestTimeoutMs);
  expect(hedged).toBeGreaterThan(0);
}, 120_000);
