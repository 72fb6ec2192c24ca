import {
  encodeHeads,
  encodePartitionMap,
  encodeShardLease,
  gradientsSubject,
  headsSubject,
  jsonBytes,
  leaseLapseMs,
  type ModelLease,
  modelNameFrom,
  type PartitionMap,
} from '@millrace/protocol';
import {
  type Bus,
  type ClusterView,
  createManualClock,
  createMemoryBus,
  type ManualClock,
  type MemoryBus,
  watchCluster,
} from '@millrace/runtime';
import { expect, onTestFinished, test } from 'vitest';
import { createHoldings, type HoldingsKeeper } from '../src/holdings.ts';
import { reportPartitions } from '../src/model-shard.ts';
import { blockOf, file, keysOn, layouts, quietLogger } from './small-cluster.ts';

interface Stage {
  readonly bus: MemoryBus;
  readonly clock: ManualClock;
  readonly view: ClusterView;
  readonly holdings: HoldingsKeeper;
  /** Times that a partition became readable. */
  ready(): number;
  readonly failures: Error[];
}

/** Holdings of shard "a" over a model that is there already. */
async function open(over: (bus: MemoryBus) => Bus = (bus) => bus): Promise<Stage> {
  const bus = createMemoryBus();
  const clock = createManualClock(0);
  const view = await watchCluster(bus, clock);
  await (await bus.kv('models')).put('ads', jsonBytes(file));
  const failures: Error[] = [];
  let ready = 0;
  const holdings = createHoldings({
    bus: over(bus),
    clock,
    logger: quietLogger,
    view,
    shard: 'a',
    onReady: () => {
      ready += 1;
    },
    onFailed: (error) => failures.push(error),
  });
  onTestFinished(async () => {
    await holdings.close();
    await view.close();
  });
  return { bus, clock, view, holdings, ready: () => ready, failures };
}

async function putMap(bus: MemoryBus, epoch: number, owners: number[][], shards = ['a', 'b']): Promise<void> {
  const map: PartitionMap = { model: 'ads', epoch, shards, owners };
  await (await bus.kv('maps')).put('ads', encodePartitionMap(map));
}

async function append(bus: MemoryBus, partition: number, sequence: number): Promise<number> {
  const payload = blockOf({ partition, sequence, keys: keysOn(partition, 2 + sequence) });
  return bus.append('gradients', gradientsSubject(modelNameFrom('ads'), partition), payload);
}

/** Says that a shard holds `ready` of `partitions` at `epoch`. */
async function tell(
  bus: MemoryBus,
  shard: string,
  lease: { epoch: number; ready: number; partitions: number },
): Promise<void> {
  const counts = {
    rows: 0,
    bytes: 0,
    sequence: 0,
    applied: 0,
    duplicates: 0,
    rejected: 0,
    readyPartitions: '',
    behind: 0,
    stalenessMs: null,
  };
  const models: ModelLease[] = [{ model: 'ads', ...lease, ...counts }];
  const whole = { shard, startedMs: 1, renewal: 1, host: 'h', port: 1, zone: '', draining: false, models };
  await (await bus.kv('shards')).put(shard, encodeShardLease(whole));
}

const held = (holdings: HoldingsKeeper) =>
  reportPartitions(holdings.models.get('ads')!).map(({ partition, sequence, ready }) => [
    partition,
    sequence,
    ready,
  ]);

test('holdings: nothing is held of a model without a map', async () => {
  const { holdings } = await open();
  await holdings.reconcile();
  expect([holdings.models.size, holdings.tables.size, holdings.leases()]).toEqual([0, 0, []]);
});

test('holdings: takes on what the map gives it, caught up with the log as it was', async () => {
  const { bus, holdings, ready } = await open();
  await append(bus, 0, 1);
  await append(bus, 2, 1);
  await append(bus, 2, 2);
  await putMap(bus, 1, [[0], [1], [0, 1], [1, 0]]);
  await holdings.reconcile();
  expect(held(holdings)).toEqual([
    [0, 1, true],
    [2, 3, true],
    [3, 0, true],
  ]);
  expect(ready()).toBe(3);
  expect([...holdings.tables]).toEqual(
    layouts.map(({ tableId }, table) => [tableId, { shard: holdings.models.get('ads'), table }]),
  );
  expect(holdings.mapOf('ads')?.epoch).toBe(1);
  await append(bus, 3, 1);
  expect(held(holdings)[2]).toEqual([3, 4, true]);
});

test('holdings: leases count what is owned', async () => {
  const { bus, holdings } = await open();
  await append(bus, 0, 1);
  await append(bus, 1, 1);
  await append(bus, 1, 1);
  await bus.append('gradients', gradientsSubject(modelNameFrom('ads'), 1), Uint8Array.of(1));
  await putMap(bus, 3, [[0], [0], [1], [1]]);
  await holdings.reconcile();
  const [lease] = holdings.leases();
  expect(lease).toEqual({
    model: 'ads',
    epoch: 3,
    partitions: 2,
    ready: 2,
    // Three keys each.
    rows: 6,
    bytes: expect.any(Number),
    sequence: 4,
    applied: 2,
    duplicates: 1,
    rejected: 1,
    readyPartitions: '',
    behind: 0,
    stalenessMs: null,
  });
  expect(lease.bytes).toBeGreaterThan(6 * 4 * 3);
});

test('holdings: staleness is the age of the newest heads that all its partitions have reached', async () => {
  const { bus, clock, holdings } = await open();
  await putMap(bus, 1, [[0], [0], [1], [1]]);
  await holdings.reconcile();
  const counters = {
    batches: 1,
    learned: 1,
    positives: 0,
    openImpressions: 0,
    rejectedOutcomes: 0,
    invalidEvents: 0,
    duplicateOutcomes: 0,
    rejections: [],
  };
  const heads = (partitions: number[]) =>
    bus.notify(
      headsSubject(modelNameFrom('ads')),
      encodeHeads({ model: 'ads', timeMs: 0, partitions, dense: 0, counters }),
    );
  clock.advanceTo(1_000);
  // Partition 2 is not ours, so its head does not matter.
  heads([0, 0, 99, 0]);
  clock.advanceTo(3_000);
  expect(holdings.leases()[0].stalenessMs).toBe(2_000);
  heads([0, 1, 99, 0]);
  expect(holdings.leases()[0].stalenessMs).toBe(2_000);
  await append(bus, 1, 1);
  clock.advanceTo(3_500);
  expect(holdings.leases()[0].stalenessMs).toBe(500);
});

test('holdings: lets go only once every owner by the map has all its partitions ready at this epoch', async () => {
  const { bus, clock, holdings } = await open();
  await putMap(bus, 1, [[0], [0], [0], [0]], ['a']);
  await holdings.reconcile();
  await tell(bus, 'a', { epoch: 1, ready: 4, partitions: 4 });
  const all = [0, 1, 2, 3].map((partition) => [partition, 0, true]);
  expect(held(holdings)).toEqual(all);

  await putMap(bus, 2, [[0], [0], [1], [1]]);
  const stays = async () => {
    await holdings.reconcile();
    expect(held(holdings)).toEqual(all);
  };
  await stays();
  // The new owner has not said anything, has not caught up, or speaks of the epoch before.
  await tell(bus, 'a', { epoch: 2, ready: 2, partitions: 2 });
  await stays();
  await tell(bus, 'b', { epoch: 2, ready: 1, partitions: 2 });
  await stays();
  await tell(bus, 'b', { epoch: 1, ready: 2, partitions: 2 });
  await stays();
  // It was ready and is gone.
  await tell(bus, 'b', { epoch: 2, ready: 2, partitions: 2 });
  for (const ms of [leaseLapseMs / 2, leaseLapseMs / 2, 500]) {
    clock.advanceBy(ms);
    await tell(bus, 'a', { epoch: 2, ready: 2, partitions: 2 });
  }
  await stays();
  expect(holdings.leases()).toMatchObject([{ epoch: 2, partitions: 2, ready: 2 }]);

  await tell(bus, 'b', { epoch: 2, ready: 2, partitions: 2 });
  await holdings.reconcile();
  expect(held(holdings)).toEqual([
    [0, 0, true],
    [1, 0, true],
  ]);
  await append(bus, 2, 1);
  expect(held(holdings).length).toBe(2);
});

test('holdings: a shard that the map leaves out altogether lets go as well', async () => {
  const { bus, holdings } = await open();
  await putMap(bus, 1, [[0], [0], [0], [0]], ['a']);
  await holdings.reconcile();
  await putMap(bus, 2, [[0], [0], [0], [0]], ['b']);
  await holdings.reconcile();
  expect(held(holdings).length).toBe(4);
  await tell(bus, 'b', { epoch: 2, ready: 4, partitions: 4 });
  await holdings.reconcile();
  expect(held(holdings)).toEqual([]);
  expect(holdings.leases()).toMatchObject([{ partitions: 0, ready: 0, epoch: 2, rows: 0 }]);
});

test('holdings: a partition that comes back is folded anew from its log', async () => {
  const { bus, holdings, ready } = await open();
  await append(bus, 2, 1);
  await putMap(bus, 1, [[0], [0], [0], [0]], ['a']);
  await holdings.reconcile();
  const [, , before] = reportPartitions(holdings.models.get('ads')!);
  await putMap(bus, 2, [[0], [0], [1], [1]]);
  await tell(bus, 'a', { epoch: 2, ready: 2, partitions: 2 });
  await tell(bus, 'b', { epoch: 2, ready: 2, partitions: 2 });
  await holdings.reconcile();
  await putMap(bus, 3, [[0], [0], [0], [1]]);
  await holdings.reconcile();
  const [, , after] = reportPartitions(holdings.models.get('ads')!);
  expect(after).toEqual(before);
  expect(ready()).toBe(5);
});

test('holdings: a partition that is owned again before it was let go is kept as it is', async () => {
  const { bus, holdings, ready } = await open();
  await putMap(bus, 1, [[0], [0], [0], [0]], ['a']);
  await holdings.reconcile();
  const state = holdings.models.get('ads')!.states[3];
  await putMap(bus, 2, [[0], [0], [1], [1]]);
  await holdings.reconcile();
  await putMap(bus, 3, [[0], [0], [0], [0]]);
  await holdings.reconcile();
  expect([holdings.models.get('ads')!.states[3] === state, ready()]).toEqual([true, 4]);
});

test('holdings: calls do not overlap, and one made meanwhile sees the newest map', async () => {
  const { bus, holdings, ready } = await open();
  await putMap(bus, 1, [[0], [1], [1], [1]]);
  const first = holdings.reconcile();
  await putMap(bus, 2, [[0], [0], [1], [1]]);
  const second = holdings.reconcile();
  await Promise.all([first, second, holdings.reconcile()]);
  expect([held(holdings).length, ready()]).toEqual([2, 2]);
});

test('holdings: a log that is out of reach for a while fails that call alone, and nothing is half held', async () => {
  let outages = 1;
  const { bus, holdings } = await open((real) => {
    const bent: Bus = Object.create(real);
    bent.onNotice = (subject, onNotice) => real.onNotice(subject, onNotice);
    bent.read = (log, options) => real.read(log, options);
    bent.headOf = (log, subject) => {
      if (subject.endsWith('.1') && outages > 0) {
        outages -= 1;
        return Promise.reject(new Error('out of reach'));
      }
      return real.headOf(log, subject);
    };
    return bent;
  });
  await append(bus, 1, 1);
  await putMap(bus, 1, [[0], [0], [0], [0]], ['a']);
  await expect(holdings.reconcile()).rejects.toThrow('out of reach');
  expect(held(holdings)).toEqual([[0, 0, true]]);
  await holdings.reconcile();
  expect(held(holdings)).toEqual([
    [0, 0, true],
    [1, 1, true],
    [2, 0, true],
    [3, 0, true],
  ]);
});

test('holdings: close: follows no log any more, and takes nothing on afterwards', async () => {
  const { bus, holdings } = await open();
  await putMap(bus, 1, [[0], [1], [1], [1]]);
  await holdings.reconcile();
  await holdings.close();
  await append(bus, 0, 1);
  expect(held(holdings)).toEqual([[0, 0, true]]);
  await putMap(bus, 2, [[0], [0], [1], [1]]);
  await holdings.reconcile();
  expect(held(holdings)).toEqual([[0, 0, true]]);
});
