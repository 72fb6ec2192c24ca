import {
  decodePartitionMap,
  encodePartitionMap,
  encodeShardLease,
  jsonBytes,
  leaseLapseMs,
  type ModelLease,
  type PartitionMap,
  partitionSetText,
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
  propose(shard: string, replicas?: number): Promise<boolean>;
  map(): Promise<PartitionMap | null>;
  live(shard: string, draining?: boolean): Promise<void>;
  /** It acts on the map as it is, and tells which partitions it has ready. */
  tell(
    shard: string,
    ready: readonly number[],
    change?: { draining?: boolean; epoch?: number },
  ): Promise<void>;
  /** Maps written so far. */
  readonly written: () => number;
}

async function open(): Promise<Stage> {
  const bus = createMemoryBus();
  const clock = createManualClock(0);
  const view = await watchCluster(bus, clock);
  await (await bus.kv('models')).put(file.name, jsonBytes(file));
  const lease = async (shard: string, draining: boolean, models: readonly ModelLease[]) => {
    const sign = { shard, startedMs: 1, renewal: 1, host: 'h', port: 1, zone: '', draining, models };
    await (await bus.kv('shards')).put(shard, encodeShardLease(sign));
  };
  return {
    bus,
    clock,
    view,
    propose: (shard, replicas = 2) =>
      proposeMaps({ bus, view, logger: quietLogger, shard, replicas, minReplicas: 2 }),
    async map() {
      const entry = await (await bus.kv('maps')).get(file.name);
      return entry ? decodePartitionMap(entry.value) : null;
    },
    live: (shard, draining = false) => lease(shard, draining, []),
    tell(shard, ready, { draining = false, epoch = view.mapOf(file.name)?.epoch ?? 0 } = {}) {
      const counts = { rows: 0, bytes: 0, sequence: 0, applied: 0, duplicates: 0, rejected: 0, behind: 0 };
      const readyPartitions = partitionSetText(4, (partition) => ready.includes(partition));
      const held = { model: file.name, epoch, partitions: 4, ready: ready.length, readyPartitions };
      return lease(shard, draining, [{ ...held, ...counts, stalenessMs: null }]);
    },
    written: () => view.mapRevisionOf(file.name),
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
  for (const ms of [leaseLapseMs / 2, leaseLapseMs / 2]) {
    clock.advanceBy(ms);
    await live('b');
  }
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
  await proposeMaps({ bus, view: behind, logger: quietLogger, shard: 'a', replicas: 2, minReplicas: 2 });
  expect(await map()).toEqual(winner);
  await live('z');
  await (await bus.kv('shards')).delete('z');
  await propose('a');
  expect(await map()).toMatchObject({ epoch: 2, shards: ['a'] });
});

test('map proposer: a shard that the map names and that was not heard yet is not taken for gone', async () => {
  const { bus, clock, propose, map, live } = await open();
  await live('b');
  // Its lease is on the way, and the map that rests on it is here.
  const named: PartitionMap = { model: 'ads', epoch: 1, shards: ['a', 'b'], owners: [[0], [0], [1], [1]] };
  await (await bus.kv('maps')).put('ads', encodePartitionMap(named));
  await propose('b');
  expect(await map()).toEqual(named);
  await live('a');
  await propose('b');
  expect(await map()).toEqual(named);
  await propose('a');
  expect(await map()).toMatchObject({ epoch: 2, shards: ['a', 'b'] });
  // One that is not heard for as long as a lease lasts is gone.
  const other: PartitionMap = { ...named, epoch: 3, shards: ['b', 'c'] };
  await (await bus.kv('maps')).put('ads', encodePartitionMap(other));
  for (let ms = 0; ms < leaseLapseMs; ms += 500) {
    await live('b');
    clock.advanceBy(500);
    await propose('b');
    expect((await map())?.epoch).toBe(3);
  }
  await live('b');
  clock.advanceBy(500);
  await propose('b');
  expect(await map()).toMatchObject({ epoch: 4, shards: ['b'] });
});

const every = [0, 1, 2, 3];

/** Names that serve a partition on for others, by partition. */
function formerOf(map: PartitionMap | null): string[] {
  return every.map((partition) => (map?.former?.[partition] ?? []).map((place) => map?.shards[place]).join());
}

test('map proposer: a shard that comes takes over partition by partition, as it tells that it has them', async () => {
  const { propose, map, live, tell } = await open();
  await live('a');
  await live('b');
  await propose('a');
  await tell('a', every);
  await tell('b', every);
  await propose('a');
  expect((await map())?.epoch).toBe(1);
  await live('c');
  await propose('a');
  const moving = await map();
  // By the ring, which test/placement pins.
  const comes = every.filter((partition) => moving?.owners[partition].includes(2));
  expect([comes.length > 0, formerOf(moving).filter((names) => names !== '').length]).toEqual([
    true,
    comes.length,
  ]);
  await tell('a', every);
  await tell('b', every);
  await tell('c', []);
  await propose('a');
  expect((await map())?.epoch).toBe(2);
  // Told before it knew this map: says nothing.
  await tell('c', comes, { epoch: 1 });
  await propose('a');
  expect((await map())?.epoch).toBe(2);
  await tell('c', comes.slice(0, 1));
  await propose('a');
  expect([(await map())?.epoch, formerOf(await map())[comes[0]]]).toEqual([3, '']);
  for (const shard of ['a', 'b', 'c']) await tell(shard, every);
  await propose('a');
  expect(await map()).not.toHaveProperty('former');
  expect((await map())?.owners).toEqual(moving?.owners);
});

test('map proposer: a shard that leaves stays in the map until others answer for all it had', async () => {
  const { propose, map, live, tell } = await open();
  for (const shard of ['a', 'b']) await live(shard);
  await propose('a');
  await tell('a', every);
  await tell('b', every, { draining: true });
  await live('c');
  await propose('a');
  const moving = await map();
  expect([moving?.shards, formerOf(moving)]).toEqual([
    ['a', 'b', 'c'],
    ['b', 'b', 'b', 'b'],
  ]);
  await tell('a', every);
  await tell('b', every, { draining: true });
  await tell('c', [0, 2]);
  await propose('a');
  expect(formerOf(await map())).toEqual(['', 'b', '', 'b']);
  await tell('a', every);
  await tell('c', every);
  await propose('a');
  expect((await map())?.shards).toEqual(['a', 'c']);
});

test('map proposer: writes are bounded: two that race leave one map, and asking again writes nothing', async () => {
  const { propose, live, tell, written, map } = await open();
  for (const shard of ['a', 'b', 'c']) await live(shard);
  await Promise.all([propose('a'), propose('a'), propose('a')]);
  expect((await map())?.epoch).toBe(1);
  const before = written();
  for (const shard of ['a', 'b', 'c']) await tell(shard, every);
  for (let i = 0; i < 5; i += 1) await Promise.all([propose('a'), propose('b')]);
  expect(written()).toBe(before);
});

test('map proposer: a shard that hears nobody, itself included, leaves the map alone', async () => {
  const { propose, map, live, clock, view } = await open();
  await live('b');
  clock.advanceBy(900);
  await live('a');
  await propose('a');
  // Cut off for 3.6 s: the lease of b has lapsed here, its own not yet.
  clock.advanceBy(leaseLapseMs - 400);
  expect(view.shards().map(({ lease, live: lives }) => [lease.shard, lives])).toEqual([
    ['b', false],
    ['a', true],
  ]);
  expect(await propose('a')).toBe(false);
  expect(await map()).toMatchObject({ epoch: 1, shards: ['a', 'b'] });
  // Heard again, its own lease first: all that lived before the silence have their full time.
  await live('a');
  expect(await propose('a')).toBe(true);
  expect((await map())?.epoch).toBe(1);
});

test('map proposer: who lives is looked at anew for each model', async () => {
  const { bus, view, live, propose } = await open();
  await (await bus.kv('models')).put('shop', jsonBytes({ ...file, name: 'shop' }));
  await live('a');
  const maps = await bus.kv('maps');
  const putIf = maps.putIf.bind(maps);
  // While the first map is on its way another shard comes.
  maps.putIf = async (...parts) => {
    if (view.shards().length === 1) await live('b');
    return putIf(...parts);
  };
  await propose('a');
  const shardsOf = async (model: string) => decodePartitionMap((await maps.get(model))!.value).shards;
  expect([await shardsOf(file.name), await shardsOf('shop')]).toEqual([['a'], ['a', 'b']]);
});
