import {
  encodePartitionMap,
  encodeShardLease,
  jsonBytes,
  leaseLapseMs,
  type ModelFile,
  type ModelLease,
  type PartitionMap,
  type ShardLease,
} from '@millrace/protocol';
import { expect, onTestFinished, test } from 'vitest';
import type { Bus } from '../src/bus.ts';
import { createManualClock, type ManualClock } from '../src/clock.ts';
import { type ClusterView, watchCluster } from '../src/cluster-view.ts';
import { createLogger } from '../src/logger.ts';
import { createMemoryBus, type MemoryBus } from '../src/memory-bus.ts';

interface Stage {
  readonly bus: MemoryBus;
  readonly clock: ManualClock;
  readonly view: ClusterView;
  /** Times that listeners were called since the last look. */
  news(): number;
}

async function openStage(before: (bus: MemoryBus) => Promise<void> = async () => {}): Promise<Stage> {
  const bus = createMemoryBus();
  await before(bus);
  const clock = createManualClock(1_000_000);
  const view = await watchCluster(bus, clock);
  let told = 0;
  view.onChange(() => {
    told += 1;
  });
  onTestFinished(async () => {
    await view.close();
    await bus.close();
  });
  return {
    bus,
    clock,
    view,
    news() {
      const since = told;
      told = 0;
      return since;
    },
  };
}

const file = { name: 'ads', seed: 1 } as ModelFile;
const mapAt = (epoch: number): PartitionMap => ({
  model: 'ads',
  epoch,
  shards: ['a', 'b'],
  owners: [[0], [1]],
});
const modelLease: ModelLease = {
  model: 'ads',
  epoch: 1,
  partitions: 2,
  ready: 1,
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
const leaseOf = (shard: string, change: Partial<ShardLease> = {}): ShardLease => ({
  shard,
  startedMs: 5,
  renewal: 1,
  host: '127.0.0.1',
  port: 7_000,
  zone: '',
  draining: false,
  models: [modelLease],
  ...change,
});

async function putLease(bus: MemoryBus, lease: ShardLease): Promise<void> {
  await (await bus.kv('shards')).put(lease.shard, encodeShardLease(lease));
}

async function putMap(bus: MemoryBus, map: PartitionMap): Promise<number> {
  return (await bus.kv('maps')).put(map.model, encodePartitionMap(map));
}

const living = (view: ClusterView) => view.shards().map(({ lease, live }) => [lease.shard, live]);

test('cluster view: what is there already is known when it opens', async () => {
  const { view } = await openStage(async (bus) => {
    await (await bus.kv('models')).put('ads', jsonBytes(file));
    await putMap(bus, mapAt(3));
    await putLease(bus, leaseOf('a'));
  });
  expect(view.models.get('ads')).toEqual(file);
  expect(view.mapOf('ads')).toEqual(mapAt(3));
  expect(view.mapRevisionOf('ads')).toBe(1);
  expect(view.shards()).toEqual([{ lease: leaseOf('a'), live: true }]);
});

test('cluster view: models and maps come and go, and each change is told', async () => {
  const { bus, view, news } = await openStage();
  expect([view.mapOf('ads'), view.mapRevisionOf('ads')]).toEqual([null, 0]);
  const models = await bus.kv('models');
  await models.put('ads', jsonBytes(file));
  expect([view.models.has('ads'), news()]).toEqual([true, 1]);
  const revision = await putMap(bus, mapAt(1));
  expect([view.mapOf('ads')?.epoch, view.mapRevisionOf('ads'), news()]).toEqual([1, revision, 1]);
  const later = await putMap(bus, mapAt(2));
  expect([view.mapOf('ads')?.epoch, view.mapRevisionOf('ads'), news()]).toEqual([2, later, 1]);
  await (await bus.kv('maps')).delete('ads');
  expect([view.mapOf('ads'), view.mapRevisionOf('ads'), news()]).toEqual([null, 0, 1]);
  await models.delete('ads');
  expect([view.models.has('ads'), news()]).toEqual([false, 1]);
});

test('cluster view: a shard lives while its lease changes, by the clock of whoever looks', async () => {
  const { bus, clock, view, news } = await openStage();
  await putLease(bus, leaseOf('a'));
  // Its own times are of another clock and mean nothing here.
  await putLease(bus, leaseOf('b', { startedMs: 9e12 }));
  expect(news()).toBe(2);
  for (const renewal of [2, 3, 4]) {
    clock.advanceBy(1_000);
    await putLease(bus, leaseOf('b', { startedMs: 9e12, renewal }));
  }
  clock.advanceBy(leaseLapseMs - 3_000);
  expect([living(view), news()]).toEqual([
    [
      ['a', true],
      ['b', true],
    ],
    0,
  ]);
  // Looked at every half second.
  clock.advanceBy(500);
  expect([living(view), news()]).toEqual([
    [
      ['a', false],
      ['b', true],
    ],
    1,
  ]);
  clock.advanceBy(leaseLapseMs);
  expect([living(view), news()]).toEqual([
    [
      ['a', false],
      ['b', false],
    ],
    1,
  ]);
});

test('cluster view: a lapsed shard is back with its next renewal, and that is news', async () => {
  const { bus, clock, view, news } = await openStage();
  await putLease(bus, leaseOf('a'));
  clock.advanceBy(leaseLapseMs + 500);
  news();
  await putLease(bus, leaseOf('a', { renewal: 2 }));
  expect([living(view), news()]).toEqual([[['a', true]], 1]);
});

test('cluster view: while NATS is out of reach no shard lapses, and then each has its full time again', async () => {
  const bus = createMemoryBus();
  const clock = createManualClock(0);
  let connected = true;
  const lossy: Bus = Object.defineProperty({ kv: bus.kv.bind(bus) } as Bus, 'connected', {
    get: () => connected,
  });
  const view = await watchCluster(lossy, clock);
  onTestFinished(() => view.close());
  await putLease(bus, leaseOf('a'));
  connected = false;
  clock.advanceBy(60_000);
  expect(living(view)).toEqual([['a', true]]);
  connected = true;
  clock.advanceBy(500 + leaseLapseMs);
  expect(living(view)).toEqual([['a', true]]);
  clock.advanceBy(500);
  expect(living(view)).toEqual([['a', false]]);
});

test('cluster view: after a silence of all leases, each shard that lived when it began has its full time again', async () => {
  const { bus, clock, view, news } = await openStage();
  await putLease(bus, leaseOf('gone'));
  for (const ms of [1_000, 1_000, 1_000]) {
    clock.advanceBy(ms);
    await putLease(bus, leaseOf('a'));
    await putLease(bus, leaseOf('b'));
  }
  // "gone" lapses as nothing else does; the others do after it, together, while nobody is heard.
  clock.advanceBy(leaseLapseMs + 500);
  expect(living(view)).toEqual([
    ['gone', false],
    ['a', false],
    ['b', false],
  ]);
  news();
  await putLease(bus, leaseOf('a', { renewal: 2 }));
  expect([living(view), news()]).toEqual([
    [
      ['gone', true],
      ['a', true],
      ['b', true],
    ],
    1,
  ]);
  for (const renewal of [3, 4, 5, 6]) {
    clock.advanceBy(1_000);
    await putLease(bus, leaseOf('a', { renewal }));
  }
  clock.advanceBy(500);
  expect(living(view)).toEqual([
    ['gone', false],
    ['a', true],
    ['b', false],
  ]);
});

test('cluster view: quiet while no lease comes through, whoever lives', async () => {
  const { bus, clock, view } = await openStage();
  expect(view.quiet).toBe(true);
  await putLease(bus, leaseOf('a'));
  expect(view.quiet).toBe(false);
  clock.advanceBy(2_500);
  expect(view.quiet).toBe(false);
  clock.advanceBy(1);
  expect(view.quiet).toBe(true);
  await putLease(bus, leaseOf('b'));
  expect(view.quiet).toBe(false);
});

test('cluster view: a shard that lapsed before a silence stays gone after it', async () => {
  const { bus, clock, view } = await openStage();
  await putLease(bus, leaseOf('gone'));
  for (const renewal of [1, 2, 3, 4, 5]) {
    clock.advanceBy(1_000);
    await putLease(bus, leaseOf('a', { renewal }));
  }
  clock.advanceBy(60_000);
  await putLease(bus, leaseOf('a', { renewal: 6 }));
  expect(living(view)).toEqual([
    ['gone', false],
    ['a', true],
  ]);
});

test('cluster view: a lease that is taken away is gone at once', async () => {
  const { bus, view, news } = await openStage();
  await putLease(bus, leaseOf('a'));
  news();
  await (await bus.kv('shards')).delete('a');
  expect([view.shards(), news()]).toEqual([[], 1]);
});

test('cluster view: a shard that a map names is awaited until its lease comes, is taken away, or had its time', async () => {
  const { bus, clock, view, news } = await openStage();
  const shards = await bus.kv('shards');
  const isAwaited = () => ['a', 'b'].map((shard) => view.isAwaited(shard));
  await putLease(bus, leaseOf('a'));
  expect(isAwaited()).toEqual([false, false]);
  await putMap(bus, mapAt(1));
  expect(isAwaited()).toEqual([false, true]);
  await putLease(bus, leaseOf('b'));
  expect(isAwaited()).toEqual([false, false]);
  // Gone, whatever maps still come.
  await shards.delete('b');
  await putMap(bus, mapAt(2));
  expect(isAwaited()).toEqual([false, false]);
  await putMap(bus, { ...mapAt(3), shards: ['a', 'c'] });
  expect(view.isAwaited('c')).toBe(true);
  clock.advanceBy(leaseLapseMs);
  news();
  expect(view.isAwaited('c')).toBe(true);
  clock.advanceBy(500);
  expect([view.isAwaited('c'), news()]).toEqual([false, 1]);
  // Named on and on by the same news: it stays given up; named anew after that, somebody must have heard it.
  await putMap(bus, { ...mapAt(4), shards: ['a', 'c'] });
  expect(view.isAwaited('c')).toBe(false);
  await putMap(bus, mapAt(5));
  await putMap(bus, { ...mapAt(6), shards: ['a', 'c'] });
  expect(view.isAwaited('c')).toBe(true);
});

test('cluster view: a silence of all leases gives those that are awaited their full time again', async () => {
  const { bus, clock, view } = await openStage();
  await putLease(bus, leaseOf('a'));
  await putMap(bus, mapAt(1));
  clock.advanceBy(leaseLapseMs);
  await putLease(bus, leaseOf('a', { renewal: 2 }));
  clock.advanceBy(leaseLapseMs);
  expect(view.isAwaited('b')).toBe(true);
  clock.advanceBy(500);
  expect(view.isAwaited('b')).toBe(false);
});

test('cluster view: whom a map names and who has no lease when the view opens is gone', async () => {
  const { view } = await openStage(async (bus) => {
    await putMap(bus, mapAt(1));
    await putLease(bus, leaseOf('a'));
  });
  expect(view.isAwaited('b')).toBe(false);
});

test('cluster view: a lapsed shard stays for status for an hour', async () => {
  const { bus, clock, view } = await openStage();
  await putLease(bus, leaseOf('a'));
  clock.advanceBy(3_600_000);
  expect(living(view)).toEqual([['a', false]]);
  clock.advanceBy(500);
  expect(living(view)).toEqual([]);
});

const newsCases: readonly (readonly [string, Partial<ShardLease>, number])[] = [
  ['only a renewal', { renewal: 2 }, 0],
  [
    'rows, bytes and sequence',
    { models: [{ ...modelLease, rows: 9, bytes: 9, sequence: 9, applied: 9 }] },
    0,
  ],
  ['staleness', { models: [{ ...modelLease, stalenessMs: 12 }] }, 0],
  ['one more partition ready', { models: [{ ...modelLease, ready: 2 }] }, 1],
  ['another epoch', { models: [{ ...modelLease, epoch: 2 }] }, 1],
  ['another model', { models: [modelLease, { ...modelLease, model: 'shop' }] }, 1],
  ['draining', { zone: '', draining: true }, 1],
  ['another port', { port: 7_001 }, 1],
  ['another host', { host: '10.0.0.1' }, 1],
  ['another start of the process', { startedMs: 6 }, 1],
];

test.each(newsCases)(
  'cluster view: a lease with %s is kept, and is news or not',
  async (_name, change, told) => {
    const { bus, view, news } = await openStage();
    await putLease(bus, leaseOf('a'));
    news();
    await putLease(bus, leaseOf('a', change));
    expect(news()).toBe(told);
    expect(view.shards()).toEqual([{ lease: leaseOf('a', change), live: true }]);
  },
);

test('cluster view: which partitions a shard answers for is news, though their number stays', async () => {
  const { bus, news } = await openStage();
  const holding = (readyPartitions: string) => leaseOf('a', { models: [{ ...modelLease, readyPartitions }] });
  await putLease(bus, holding('AQ=='));
  news();
  await putLease(bus, holding('Ag=='));
  expect(news()).toBe(1);
});

test('cluster view: rows that become late, later by a doubling, or fresh again are news', async () => {
  const { bus, news } = await openStage();
  const grown = async (stalenessMs: number | null) => {
    await putLease(bus, leaseOf('a', { models: [{ ...modelLease, stalenessMs }] }));
    return news();
  };
  expect(await grown(null)).toBe(1);
  const found = [];
  for (const ms of [5, 10_000, 10_001, 19_999, 20_000, 39_999, 45_000, 10_000, 0])
    found.push(await grown(ms));
  expect(found).toEqual([0, 0, 1, 0, 1, 0, 1, 1, 0]);
});

test('cluster view: with no bound on staleness nothing is late', async () => {
  const bus = createMemoryBus();
  const view = await watchCluster(bus, createManualClock(0), undefined, { stalenessMsMax: 0 });
  onTestFinished(() => view.close());
  let told = 0;
  view.onChange(() => {
    told += 1;
  });
  for (const stalenessMs of [0, 1, 1e9]) {
    await putLease(bus, leaseOf('a', { models: [{ ...modelLease, stalenessMs }] }));
  }
  expect(told).toBe(1);
});

test('cluster view: offerMap: takes a newer map only, and leaves the revision to the store', async () => {
  const { bus, view, news } = await openStage();
  view.offerMap(mapAt(2));
  expect([view.mapOf('ads')?.epoch, view.mapRevisionOf('ads'), news()]).toEqual([2, 0, 1]);
  view.offerMap(mapAt(1));
  view.offerMap(mapAt(2));
  expect([view.mapOf('ads')?.epoch, news()]).toEqual([2, 0]);
  const revision = await putMap(bus, mapAt(3));
  view.offerMap(mapAt(4));
  expect([view.mapOf('ads')?.epoch, view.mapRevisionOf('ads')]).toEqual([4, revision]);
  // A write against that revision is refused by the store as soon as the newer map is there.
  const stored = await putMap(bus, mapAt(4));
  expect(await (await bus.kv('maps')).putIf('ads', encodePartitionMap(mapAt(5)), revision)).toBeNull();
  expect(view.mapRevisionOf('ads')).toBe(stored);
});

test('cluster view: waitFor: resolves at once, or with the change that makes it so', async () => {
  const { bus, clock, view } = await openStage();
  await view.waitFor(() => true, 1);
  const waiting = view.waitFor(() => view.mapOf('ads')?.epoch === 2, 10_000);
  await putMap(bus, mapAt(1));
  await putMap(bus, mapAt(2));
  await waiting;
  // Lapses are changes too.
  await putLease(bus, leaseOf('a'));
  const lapsing = view.waitFor(() => view.shards().every(({ live }) => !live), 10_000);
  clock.advanceBy(leaseLapseMs + 500);
  await lapsing;
});

test('cluster view: waitFor: gives up after its limit, and leaves no timer when it does not', async () => {
  const { bus, clock, view } = await openStage();
  const idle = clock.timersWaiting;
  const waiting = view.waitFor(() => false, 2_000);
  clock.advanceBy(2_000);
  await expect(waiting).rejects.toMatchObject({ code: 'MILL_TIMEOUT' });
  const other = view.waitFor(() => view.mapOf('ads') !== null, 60_000);
  await putMap(bus, mapAt(1));
  await other;
  expect(clock.timersWaiting).toBe(idle);
});

test('cluster view: onChange: a listener that has left is not called, also when it leaves while others are told', async () => {
  const { bus, view } = await openStage();
  const calls: string[] = [];
  const leave = view.onChange(() => {
    calls.push('first');
    leave();
  });
  view.onChange(() => calls.push('second'));
  await putMap(bus, mapAt(1));
  await putMap(bus, mapAt(2));
  expect(calls).toEqual(['first', 'second', 'second']);
});

test('cluster view: a value that cannot be read is reported and passed over, and the watch goes on', async () => {
  const bus = createMemoryBus();
  const clock = createManualClock(0);
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  const logger = createLogger({ service: 'test', level: 'info', destination });
  await putMap(bus, mapAt(1));
  await putLease(bus, leaseOf('a'));
  const view = await watchCluster(bus, clock, logger);
  const bad = new TextEncoder().encode('{"shards":');
  await (await bus.kv('maps')).put('ads', bad);
  await (await bus.kv('shards')).put('a', bad);
  await (await bus.kv('models')).put('ads', bad);
  expect([view.mapOf('ads')?.epoch, view.mapRevisionOf('ads')]).toEqual([1, 1]);
  expect([living(view), view.models.size]).toEqual([[['a', true]], 0]);
  expect(lines.map((line) => JSON.parse(line)).map(({ level, key }) => [level, key])).toEqual([
    ['error', 'ads'],
    ['error', 'a'],
    ['error', 'ads'],
  ]);
  await putMap(bus, mapAt(2));
  await putLease(bus, leaseOf('b'));
  await (await bus.kv('models')).put('ads', jsonBytes(file));
  expect([view.mapOf('ads')?.epoch, living(view).length, view.models.size]).toEqual([2, 2, 1]);
  await view.close();
});

test('cluster view: close: no timer stays and no change is told', async () => {
  const { bus, clock, view, news } = await openStage();
  await putLease(bus, leaseOf('a'));
  news();
  await view.close();
  expect(clock.timersWaiting).toBe(0);
  await putMap(bus, mapAt(1));
  clock.advanceBy(60_000);
  expect(news()).toBe(0);
});
