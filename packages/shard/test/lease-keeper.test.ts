import { decodeShardLease, leaseRenewMs, type ModelLease, type ShardLease } from '@millrace/protocol';
import {
  type Bus,
  createManualClock,
  createMemoryBus,
  type Kv,
  type ManualClock,
  type MemoryBus,
} from '@millrace/runtime';
import { expect, test } from 'vitest';
import { keepLease, type LeaseKeeper } from '../src/lease-keeper.ts';
import { quietLogger } from './small-cluster.ts';

interface Stage {
  readonly bus: MemoryBus;
  readonly clock: ManualClock;
  readonly keeper: LeaseKeeper;
  lease(): Promise<ShardLease | null>;
}

const startMs = 50_000;
const settled = () => new Promise((resolve) => setImmediate(resolve));

async function open(
  options: { models?: () => readonly ModelLease[]; over?: (bus: Bus) => Bus } = {},
): Promise<Stage> {
  const bus = createMemoryBus();
  const clock = createManualClock(startMs);
  const keeper = await keepLease({
    bus: options.over?.(bus) ?? bus,
    clock,
    logger: quietLogger,
    zone: '',
    shard: 'a',
    host: '10.0.0.1',
    port: 7_000,
    models: options.models ?? (() => []),
  });
  return {
    bus,
    clock,
    keeper,
    async lease() {
      const entry = await (await bus.kv('shards')).get('a');
      return entry ? decodeShardLease(entry.value) : null;
    },
  };
}

/** A bus whose "shards" bucket is the real one with some of its functions replaced. */
function withShards(replace: (kv: Kv) => Partial<Kv>): (bus: Bus) => Bus {
  return (bus) => {
    const bent: Bus = Object.create(bus);
    bent.kv = async (bucket) => {
      const kv = await bus.kv(bucket);
      const functions: Kv = {
        get: (key) => kv.get(key),
        put: (key, value) => kv.put(key, value),
        putIf: (key, value, revision) => kv.putIf(key, value, revision),
        delete: (key) => kv.delete(key),
        keys: () => kv.keys(),
        watch: (onChange) => kv.watch(onChange),
      };
      return { ...functions, ...replace(kv) };
    };
    return bent;
  };
}

test('lease keeper: the lease is there when it resolves, with address and start', async () => {
  const { lease, keeper } = await open();
  expect(await lease()).toEqual({
    shard: 'a',
    startedMs: startMs,
    renewal: 1,
    host: '10.0.0.1',
    port: 7_000,
    zone: '',
    draining: false,
    models: [],
  });
  await keeper.close();
});

test('lease keeper: renews every second, with what the shard holds then', async () => {
  let rows = 5;
  const model = { model: 'ads', epoch: 1, partitions: 1, ready: 1, bytes: 0, sequence: 0, applied: 0 };
  const models = () => [
    { ...model, rows, duplicates: 0, rejected: 0, readyPartitions: '', behind: 0, stalenessMs: null },
  ];
  const { clock, lease, keeper } = await open({ models });
  rows = 6;
  clock.advanceBy(leaseRenewMs - 1);
  expect((await lease())?.renewal).toBe(1);
  clock.advanceBy(1);
  await settled();
  expect(await lease()).toMatchObject({ renewal: 2, startedMs: startMs, models: [{ rows: 6 }] });
  clock.advanceBy(leaseRenewMs);
  await settled();
  expect((await lease())?.renewal).toBe(3);
  await keeper.close();
});

test('lease keeper: renew: writes now', async () => {
  const { lease, keeper } = await open();
  await keeper.renew();
  expect((await lease())?.renewal).toBe(2);
  await keeper.close();
});

test('lease keeper: drain: says so, and goes on renewing', async () => {
  const { clock, lease, keeper } = await open();
  await keeper.drain();
  expect(await lease()).toMatchObject({ zone: '', draining: true, renewal: 2 });
  clock.advanceBy(leaseRenewMs);
  await settled();
  expect(await lease()).toMatchObject({ zone: '', draining: true, renewal: 3 });
  await keeper.close();
});

test('lease keeper: a renewal that fails is tried again with the next', async () => {
  let failing = false;
  const over = withShards((kv) => ({
    put: (key, value) => (failing ? Promise.reject(new Error('out of reach')) : kv.put(key, value)),
  }));
  const { clock, lease, keeper } = await open({ over });
  failing = true;
  clock.advanceBy(leaseRenewMs);
  await settled();
  expect((await lease())?.renewal).toBe(1);
  failing = false;
  clock.advanceBy(leaseRenewMs);
  await settled();
  expect((await lease())?.renewal).toBe(3);
  await keeper.close();
});

test('lease keeper: close: takes the lease away, leaves no timer, and nothing brings it back', async () => {
  const { clock, lease, keeper } = await open();
  await keeper.close();
  expect([await lease(), clock.timersWaiting]).toEqual([null, 0]);
  await keeper.renew();
  clock.advanceBy(10 * leaseRenewMs);
  await settled();
  expect([await lease(), clock.timersWaiting]).toEqual([null, 0]);
});

test('lease keeper: close: a renewal that is under way ends first, and no timer follows it', async () => {
  let release = () => {};
  let held = false;
  const over = withShards((kv) => ({
    async put(key, value) {
      if (held) {
        await new Promise<void>((resolve) => {
          release = resolve;
        });
      }
      return kv.put(key, value);
    },
  }));
  const { clock, lease, keeper } = await open({ over });
  held = true;
  clock.advanceBy(leaseRenewMs);
  await settled();
  const closing = keeper.close();
  await settled();
  release();
  await closing;
  await settled();
  expect([await lease(), clock.timersWaiting]).toEqual([null, 0]);
});

test('lease keeper: close: a lease that cannot be taken away lapses by itself', async () => {
  const over = withShards(() => ({ delete: () => Promise.reject(new Error('out of reach')) }));
  const { clock, keeper } = await open({ over });
  await keeper.close();
  expect(clock.timersWaiting).toBe(0);
});
