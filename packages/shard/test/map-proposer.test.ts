import {
  decodePartitionMap,
  encodePartitionMap,
  encodeShardLease,
  jsonBytes,
  leaseLapseMs,
  type PartitionMap,
} from '@millrace/protocol';
import {
  type ClusterView,
  createManualClock,
  createMemoryBus,
  type ManualClock,
  type MemoryBus,
  watchCluster,
} from '@millrace/runtime';
import { expect, test } from 'vitest';
import { proposeMaps } from '../src/map-proposer.ts';
import { file, quietLogger } from './small-cluster.ts';

interface Stage {
  readonly bus: MemoryBus;
  readonly clock: ManualClock;
  readonly view: ClusterView;
  propose(shard: string, replicas?: number): Promise<void>;
  map(): Promise<PartitionMap | null>;
  live(shard: string, draining?: boolean): Promise<void>;
}

async function open(): Promise<Stage> {
  const bus = createMemoryBus();
  const clock = createManualClock(0);
  const view = await watchCluster(bus, clock);
  await (await bus.kv('models')).put(file.name, jsonBytes(file));
  return {
    bus,
    clock,
    view,
    propose: (shard, replicas = 2) => proposeMaps({ bus, view, logger: quietLogger, shard, replicas }),
    async map() {
      const entry = await (await bus.kv('maps')).get(file.name);
      return entry ? decodePartitionMap(entry.value) : null;
    },
    async live(shard, draining = false) {
      const lease = { shard, startedMs: 1, renewal: 1, host: 'h', port: 1, zone: '', draining, models: [] };
      await (await bus.kv('shards')).put(shard, encodeShardLease(lease));
    },
  };
}

test('map proposer: the living shard with the lowest id acts, the others leave it to that one', async () => {
  const { propose, map, live } = await open();
  await live('b');
  await live('a');
  await propose('b');
  expect(await map()).toBeNull();
  await propose('a');
  const first = await map();
  expect(first).toMatchObject({ model: 'ads', epoch: 1, shards: ['a', 'b'] });
  expect(first?.owners.map((owners) => [...owners].sort())).toEqual([
    [0, 1],
    [0, 1],
    [0, 1],
    [0, 1],
  ]);
});

test('map proposer: the replicas that are asked for, no more than there are shards', async () => {
  const { propose, map, live } = await open();
  await live('a');
  await live('b');
  await live('c');
  await propose('a', 1);
  expect((await map())?.owners.map((owners) => owners.length)).toEqual([1, 1, 1, 1]);
  await propose('a', 8);
  expect((await map())?.owners.map((owners) => owners.length)).toEqual([3, 3, 3, 3]);
});

test('map proposer: nothing is written while nothing changes', async () => {
  const { bus, propose, live } = await open();
  await live('a');
  await propose('a');
  const before = await (await bus.kv('maps')).get('ads');
  await propose('a');
  expect(await (await bus.kv('maps')).get('ads')).toEqual(before);
});

test('map proposer: a shard that lapsed gets nothing, and its return is one more epoch', async () => {
  const { clock, propose, map, live } = await open();
  await live('a');
  await live('b');
  await propose('a');
  clock.advanceBy(leaseLapseMs);
  await live('b');
  clock.advanceBy(500);
  // "a" is gone, so it is the turn of "b".
  await propose('b');
  expect(await map()).toMatchObject({ epoch: 2, shards: ['b'] });
  await live('a');
  await propose('b');
  expect((await map())?.epoch).toBe(2);
  await propose('a');
  expect(await map()).toMatchObject({ epoch: 3, shards: ['a', 'b'] });
});

test('map proposer: a shard that leaves gets nothing and decides nothing', async () => {
  const { propose, map, live } = await open();
  await live('a', true);
  await live('b');
  await propose('a');
  expect(await map()).toBeNull();
  await propose('b');
  expect(await map()).toMatchObject({ epoch: 1, shards: ['b'] });
});

test('map proposer: when all are gone the old map stands', async () => {
  const { clock, propose, map, live } = await open();
  await live('a');
  await propose('a');
  clock.advanceBy(leaseLapseMs + 500);
  await propose('a');
  expect((await map())?.epoch).toBe(1);
});

test('map proposer: of two that act at once one wins, and the other leaves it so', async () => {
  const { bus, view, propose, map, live } = await open();
  await live('a');
  // This view is held back while somebody else writes.
  const behind: ClusterView = { ...view, mapOf: () => null, mapRevisionOf: () => 0 };
  const winner: PartitionMap = { model: 'ads', epoch: 1, shards: ['z'], owners: [[0], [0], [0], [0]] };
  await (await bus.kv('maps')).put('ads', encodePartitionMap(winner));
  await proposeMaps({ bus, view: behind, logger: quietLogger, shard: 'a', replicas: 2 });
  expect(await map()).toEqual(winner);
  await propose('a');
  expect(await map()).toMatchObject({ epoch: 2, shards: ['a'] });
});
