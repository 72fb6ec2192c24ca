import {
  encodeHeads,
  encodePartitionMap,
  gradientsSubject,
  headsSubject,
  jsonBytes,
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
import { type Archive, trimBehind } from '@millrace/snapshot';
import { expect, onTestFinished, test } from 'vitest';
import { createHoldings, type HoldingsKeeper } from '../src/holdings.ts';
import { reportPartitions } from '../src/model-shard.ts';
import { blockOf, file, keysOn, layouts, quietLogger } from './small-cluster.ts';

interface Stage {
  readonly bus: MemoryBus;
  readonly clock: ManualClock;
  readonly view: ClusterView;
  readonly holdings: HoldingsKeeper;
  /** Times that routing had news. */
  news(): number;
  readonly failures: Error[];
}

/** Lets what was started as promises go on; the memory bus needs no more. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** Holdings of shard "a" over a model that is there already. */
async function open(
  over: (bus: MemoryBus) => Bus = (bus) => bus,
  archive: Archive | null = null,
): Promise<Stage> {
  const bus = createMemoryBus();
  const clock = createManualClock(0);
  const view = await watchCluster(bus, clock);
  await (await bus.kv('models')).put('ads', jsonBytes(file));
  const failures: Error[] = [];
  let news = 0;
  const holdings = createHoldings({
    bus: over(bus),
    clock,
    logger: quietLogger,
    view,
    shard: 'a',
    archive,
    onChange: () => {
      news += 1;
    },
    onRestored: () => {},
    onFailed: (error) => failures.push(error),
  });
  onTestFinished(async () => {
    await holdings.close();
    await view.close();
  });
  return { bus, clock, view, holdings, news: () => news, failures };
}

interface MapOptions {
  readonly shards?: readonly string[];
  readonly former?: readonly (readonly number[])[];
}

async function putMap(
  bus: MemoryBus,
  epoch: number,
  owners: number[][],
  { shards = ['a', 'b'], former }: MapOptions = {},
): Promise<void> {
  const map: PartitionMap = { model: 'ads', epoch, shards, owners, ...(former ? { former } : {}) };
  await (await bus.kv('maps')).put('ads', encodePartitionMap(map));
}

/** Acts on the map, and lets what that sets off happen. */
async function reconciled({ holdings }: Pick<Stage, 'holdings'>): Promise<void> {
  await holdings.reconcile();
  await settled();
}

async function append(bus: MemoryBus, partition: number, sequence: number): Promise<number> {
  const payload = blockOf({ partition, sequence, keys: keysOn(partition, 2 + sequence) });
  return bus.append('gradients', gradientsSubject(modelNameFrom('ads'), partition), payload);
}

const held = (holdings: HoldingsKeeper) =>
  reportPartitions(holdings.models.get('ads')!).map(({ partition, sequence, ready }) => [
    partition,
    sequence,
    ready,
  ]);

test('holdings: nothing is held of a model without a map', async () => {
  const { holdings } = await open();
  await reconciled({ holdings });
  expect([holdings.models.size, holdings.tables.size, holdings.leases()]).toEqual([0, 0, []]);
});

test('holdings: takes on what the map gives it, caught up with the log as it was', async () => {
  const { bus, holdings, news } = await open();
  await append(bus, 0, 1);
  await append(bus, 2, 1);
  await append(bus, 2, 2);
  await putMap(bus, 1, [[0], [1], [0, 1], [1, 0]]);
  await reconciled({ holdings });
  expect(held(holdings)).toEqual([
    [0, 1, true],
    [2, 3, true],
    [3, 0, true],
  ]);
  expect(news()).toBe(3);
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
  await reconciled({ holdings });
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
    readyPartitions: 'Aw==',
    behind: 0,
    stalenessMs: null,
  });
  expect(lease.bytes).toBeGreaterThan(6 * 4 * 3);
});

test('holdings: staleness is the age of the newest heads that all its partitions have reached', async () => {
  const { bus, clock, holdings } = await open();
  await putMap(bus, 1, [[0], [0], [1], [1]]);
  await reconciled({ holdings });
  const counters = {
    batches: 1,
    learned: 1,
    positives: 0,
    openImpressions: 0,
    rejectedOutcomes: 0,
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

test('holdings: serves on what it owned before, partition by partition, until no map names it', async () => {
  const { bus, holdings } = await open();
  await putMap(bus, 1, [[0], [0], [0], [0]]);
  await reconciled({ holdings });
  expect(holdings.leases()).toMatchObject([{ epoch: 1, partitions: 4, ready: 4, readyPartitions: 'Dw==' }]);

  await putMap(bus, 2, [[0], [0], [1], [1]], { former: [[], [], [0], [0]] });
  await reconciled({ holdings });
  expect(held(holdings)).toEqual([0, 1, 2, 3].map((partition) => [partition, 0, true]));
  // What it serves for others is told, and does not count as its own.
  expect(holdings.leases()).toMatchObject([{ epoch: 2, partitions: 2, ready: 2, readyPartitions: 'Dw==' }]);
  await append(bus, 3, 1);
  expect(held(holdings)[3]).toEqual([3, 1, true]);

  await putMap(bus, 3, [[0], [0], [1], [1]], { former: [[], [], [], [0]] });
  await reconciled({ holdings });
  expect(held(holdings)).toEqual([
    [0, 0, true],
    [1, 0, true],
    [3, 1, true],
  ]);
  await putMap(bus, 4, [[0], [0], [1], [1]]);
  await reconciled({ holdings });
  expect(holdings.leases()).toMatchObject([{ epoch: 4, readyPartitions: 'Aw==' }]);
  await append(bus, 2, 1);
  expect(held(holdings).length).toBe(2);
});

test('holdings: a shard that the map leaves out altogether lets go as well', async () => {
  const { bus, holdings } = await open();
  await putMap(bus, 1, [[0], [0], [0], [0]]);
  await reconciled({ holdings });
  await putMap(bus, 2, [[0], [0], [0], [0]], { shards: ['b'] });
  await reconciled({ holdings });
  expect(held(holdings)).toEqual([]);
  expect(holdings.leases()).toMatchObject([{ partitions: 0, ready: 0, epoch: 2, rows: 0 }]);
});

test('holdings: a partition that comes back is folded anew from its log', async () => {
  const { bus, holdings } = await open();
  await append(bus, 2, 1);
  await putMap(bus, 1, [[0], [0], [0], [0]]);
  await reconciled({ holdings });
  const [, , before] = reportPartitions(holdings.models.get('ads')!);
  await putMap(bus, 2, [[0], [0], [1], [1]]);
  await reconciled({ holdings });
  await putMap(bus, 3, [[0], [0], [0], [1]]);
  await reconciled({ holdings });
  const [, , after] = reportPartitions(holdings.models.get('ads')!);
  expect(after).toEqual(before);
});

test('holdings: a partition that is owned again before it was let go is kept as it is', async () => {
  const { bus, holdings, news } = await open();
  await putMap(bus, 1, [[0], [0], [0], [0]]);
  await reconciled({ holdings });
  const state = holdings.models.get('ads')!.states[3];
  await putMap(bus, 2, [[0], [0], [1], [1]], { former: [[], [], [0], [0]] });
  await reconciled({ holdings });
  await putMap(bus, 3, [[0], [0], [0], [0]]);
  await reconciled({ holdings });
  expect([holdings.models.get('ads')!.states[3] === state, news()]).toEqual([true, 4]);
});

test('holdings: ready: once the map that names it is acted on and all that it owns answers', async () => {
  const { bus, holdings } = await open();
  const seen = [holdings.ready];
  await reconciled({ holdings });
  // There is a model and no map yet.
  seen.push(holdings.ready);
  await putMap(bus, 1, [[0], [0], [0], [0]], { shards: ['b'] });
  await reconciled({ holdings });
  seen.push(holdings.ready);
  await putMap(bus, 2, [[0], [1], [1], [1]]);
  seen.push(holdings.ready);
  await reconciled({ holdings });
  seen.push(holdings.ready);
  expect(seen).toEqual([false, false, false, false, true]);
});

test('holdings: ready: without any model there is nothing to wait for', async () => {
  const { bus, holdings } = await open();
  await (await bus.kv('models')).delete('ads');
  expect(holdings.ready).toBe(false);
  await reconciled({ holdings });
  expect(holdings.ready).toBe(true);
});

test('holdings: calls do not overlap, and one made meanwhile sees the newest map', async () => {
  const { bus, holdings, news } = await open();
  await putMap(bus, 1, [[0], [1], [1], [1]]);
  const first = holdings.reconcile();
  await putMap(bus, 2, [[0], [0], [1], [1]]);
  const second = holdings.reconcile();
  await Promise.all([first, second, holdings.reconcile()]);
  await settled();
  expect([held(holdings).length, news()]).toEqual([2, 2]);
});

test('holdings: a log that is out of reach for a while holds up that partition alone, which is tried again', async () => {
  let outages = 2;
  const { bus, clock, holdings } = await open((real) => {
    const bent: Bus = Object.create(real);
    bent.onNotice = (subject, onNotice) => real.onNotice(subject, onNotice);
    bent.read = (log, options) => real.read(log, options);
    bent.kv = (bucket) => real.kv(bucket);
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
  await putMap(bus, 1, [[0], [0], [0], [0]]);
  await reconciled({ holdings });
  const others = [0, 2, 3].map((partition) => [partition, 0, true]);
  expect(held(holdings)).toEqual(others);
  expect(holdings.ready).toBe(false);
  // Half a second after the first failure, a whole one after the second.
  clock.advanceBy(499);
  await settled();
  expect(outages).toBe(1);
  clock.advanceBy(1);
  await settled();
  expect([outages, held(holdings)]).toEqual([0, others]);
  clock.advanceBy(1_000);
  await settled();
  expect(held(holdings)).toEqual([
    [0, 0, true],
    [1, 1, true],
    [2, 0, true],
    [3, 0, true],
  ]);
  expect(holdings.ready).toBe(true);
});

test('holdings: a partition whose history is gone is not readable, and is told', async () => {
  const { bus, clock, holdings } = await open();
  await append(bus, 0, 1);
  await append(bus, 0, 2);
  const subject = gradientsSubject(modelNameFrom('ads'), 0);
  await trimBehind(bus, { log: 'gradients', subject }, 2, 0);
  await putMap(bus, 1, [[0], [0], [1], [1]]);
  await reconciled({ holdings });
  expect([holdings.goneCount, holdings.leases()[0].gone]).toEqual([0, undefined]);
  clock.advanceBy(500);
  await settled();
  expect(holdings.goneCount).toBe(1);
  expect(holdings.leases()).toMatchObject([{ partitions: 2, ready: 1, readyPartitions: 'Ag==', gone: 1 }]);
  expect([holdings.ready, holdings.readable().map(({ partition }) => partition)]).toEqual([false, [1]]);
});

test('holdings: a map is acted on while partitions are being restored, at most four at a time', async () => {
  const asked = new Set<string>();
  let answer = () => {};
  const answered = new Promise<void>((resolve) => {
    answer = resolve;
  });
  const archive: Archive = Object.create(null);
  archive.restorePartition = async ({ model, partition }) => {
    asked.add(`${model}/${partition}`);
    await answered;
    return null;
  };
  const { bus, holdings } = await open((real) => real, archive);
  for (const name of ['ads', 'shop', 'news']) {
    await (await bus.kv('models')).put(name, jsonBytes({ ...file, name }));
    const map: PartitionMap = { model: name, epoch: 1, shards: ['a'], owners: [[0], [0], [0], [0]] };
    await (await bus.kv('maps')).put(name, encodePartitionMap(map));
  }
  await reconciled({ holdings });
  expect([...asked]).toEqual(['ads/0', 'ads/1', 'ads/2', 'ads/3']);
  expect(holdings.leases().map(({ epoch, ready }) => [epoch, ready])).toEqual([
    [1, 0],
    [1, 0],
    [1, 0],
  ]);
  await putMap(bus, 2, [[0], [1], [1], [1]]);
  await reconciled({ holdings });
  expect(holdings.models.get('ads')!.held).toEqual([true, false, false, false]);
  expect(asked.size).toBe(4);
  answer();
  await settled();
  expect(asked.size).toBe(12);
  expect(held(holdings)).toEqual([[0, 0, true]]);
  expect(holdings.leases().map(({ model, ready }) => [model, ready])).toEqual([
    ['ads', 1],
    ['shop', 4],
    ['news', 4],
  ]);
});

test('holdings: close: follows no log any more, and takes nothing on afterwards', async () => {
  const { bus, holdings } = await open();
  await putMap(bus, 1, [[0], [1], [1], [1]]);
  await reconciled({ holdings });
  const state = holdings.models.get('ads')!.states[0]!;
  await holdings.close();
  await append(bus, 0, 1);
  await putMap(bus, 2, [[0], [0], [1], [1]]);
  await reconciled({ holdings });
  expect([state.sequence, held(holdings)]).toEqual([0, []]);
});
