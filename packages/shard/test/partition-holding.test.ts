import { partitionHash } from '@millrace/core';
import { MillraceError } from '@millrace/protocol';
import {
  type BlobStore,
  type Bus,
  createManualClock,
  createMemoryBus,
  type ManualClock,
  type MemoryBus,
} from '@millrace/runtime';
import { type Archive, snapshotPath, trimBehind } from '@millrace/snapshot';
import { expect, onTestFinished, test } from 'vitest';
import { createModelShard, isReadable, type ModelShard } from '../src/model-shard.ts';
import { holdPartition, type PartitionHolding } from '../src/partition-holding.ts';
import { createTurns } from '../src/turns.ts';
import { blockOf, file, keysOn, quietLogger } from './small-cluster.ts';
import {
  appendBlocks,
  damage,
  fold,
  foldOfLog,
  openTestStores,
  partition,
  putSnapshot,
  settled,
  subject,
} from './stored-history.ts';

interface Stage {
  readonly shard: ModelShard;
  readonly holding: PartitionHolding;
  readonly clock: ManualClock;
  /** Sequences asked for of the log, one an opened reader, and messages delivered in all. */
  readonly reads: { readonly from: number[]; delivered: number };
  readonly restored: number[];
  readonly failures: Error[];
}

/** Takes the partition on, with a log that tells what is read of it. */
function hold(bus: Bus, archive: Archive | null, over: Partial<Bus> = {}): Stage {
  const shard = createModelShard(file);
  const clock = createManualClock(0);
  const reads = { from: [] as number[], delivered: 0 };
  const restored: number[] = [];
  const failures: Error[] = [];
  const seen: Bus = Object.create(bus);
  Object.assign(seen, {
    headOf: (...args: Parameters<Bus['headOf']>) => bus.headOf(...args),
    kv: (...args: Parameters<Bus['kv']>) => bus.kv(...args),
    read: ((log, options) => {
      reads.from.push(options.from);
      const onMessage: typeof options.onMessage = (message) => {
        reads.delivered += 1;
        return options.onMessage(message);
      };
      return bus.read(log, { ...options, onMessage });
    }) satisfies Bus['read'],
    ...over,
  });
  const holding = holdPartition({
    bus: seen,
    clock,
    logger: quietLogger,
    shard,
    partition,
    archive,
    turns: createTurns(4),
    onChange: () => {},
    onRestored: (rows) => restored.push(rows),
    onFailed: (error) => failures.push(error),
  });
  onTestFinished(() => holding.drop());
  return { shard, holding, clock, reads, restored, failures };
}

const hashOf = ({ shard }: Stage) => partitionHash(shard.states[partition]!);
const trim = (bus: MemoryBus, before: number) => trimBehind(bus, { log: 'gradients', subject }, before, 0);
const full = (sequence: number) => snapshotPath(fold, { sequence, base: null });

test('holding: an empty disk: restores from the shared store, replays the rest of the log, answers reads', async () => {
  const bus = createMemoryBus();
  const { shared, archive } = openTestStores();
  await appendBlocks(bus, 1, 10);
  await putSnapshot(bus, shared, 7);
  const stage = hold(bus, archive);
  expect([stage.holding.phase, isReadable(stage.shard, partition)]).toEqual(['restoring', false]);
  await settled();
  expect([stage.holding.phase, isReadable(stage.shard, partition)]).toEqual(['ready', true]);
  expect(stage.reads).toEqual({ from: [8], delivered: 3 });
  expect(hashOf(stage)).toBe(partitionHash(await foldOfLog(bus)));
  // Six pairs of keys in turn; seven blocks have touched all of them.
  expect([stage.restored, stage.holding.restoredRows]).toEqual([[12], 12]);
  await appendBlocks(bus, 11);
  expect(hashOf(stage)).toBe(partitionHash(await foldOfLog(bus)));
});

test('holding: a restart takes the newer of its own file and the shared one, and replays the tail alone', async () => {
  const bus = createMemoryBus();
  const { own, shared, archive } = openTestStores();
  await appendBlocks(bus, 1, 40);
  await putSnapshot(bus, shared, 30);
  await putSnapshot(bus, own, 38);
  const stage = hold(bus, archive);
  await settled();
  expect(stage.reads).toEqual({ from: [39], delivered: 2 });
  expect(hashOf(stage)).toBe(partitionHash(await foldOfLog(bus)));
});

test('holding: a damaged file of its own is told, and the shared store serves', async () => {
  const bus = createMemoryBus();
  const { own, shared, archive, damaged } = openTestStores();
  await appendBlocks(bus, 1, 10);
  await putSnapshot(bus, shared, 6);
  await putSnapshot(bus, own, 9);
  await damage(own, full(9), 200);
  const stage = hold(bus, archive);
  await settled();
  expect(damaged).toEqual([`own ${full(9)}`]);
  expect(stage.reads).toEqual({ from: [7], delivered: 4 });
  expect(hashOf(stage)).toBe(partitionHash(await foldOfLog(bus)));
});

test('holding: a trimmed log without a snapshot that reaches it is never readable, until one is there', async () => {
  const bus = createMemoryBus();
  const { shared, archive } = openTestStores();
  await appendBlocks(bus, 1, 10);
  const before = partitionHash(await foldOfLog(bus));
  await putSnapshot(bus, shared, 8);
  await putSnapshot(bus, shared, 5);
  await trim(bus, 9);
  await damage(shared, full(8), 300);
  const stage = hold(bus, archive);
  await settled();
  // The first look may have met a change under way; the second one tells.
  expect(stage.holding.phase).toBe('restoring');
  for (const pauseMs of [500, 1_000, 2_000, 4_000]) {
    stage.clock.advanceBy(pauseMs);
    await settled();
    expect([stage.holding.phase, isReadable(stage.shard, partition), stage.shard.states[partition]]).toEqual([
      'gone',
      false,
      null,
    ]);
  }
  expect([stage.reads, stage.failures]).toEqual([{ from: [], delivered: 0 }, []]);
  // Another owner still had it.
  await damage(shared, full(8), 300);
  stage.clock.advanceBy(8_000);
  await settled();
  expect([stage.holding.phase, hashOf(stage)]).toEqual(['ready', before]);
});

test('holding: trimmed to the end: the newest snapshot alone is enough', async () => {
  const bus = createMemoryBus();
  const { shared, archive } = openTestStores();
  await appendBlocks(bus, 1, 10);
  const before = partitionHash(await foldOfLog(bus));
  await putSnapshot(bus, shared, 10);
  await trim(bus, 11);
  const stage = hold(bus, archive);
  await settled();
  expect([stage.holding.phase, hashOf(stage)]).toEqual(['ready', before]);
});

test('holding: a log that is trimmed while it is being replayed: starts anew from a snapshot that reaches it', async () => {
  const bus = createMemoryBus();
  const { shared, archive } = openTestStores();
  await appendBlocks(bus, 1, 10);
  await putSnapshot(bus, shared, 4);
  const wanted = partitionHash(await foldOfLog(bus));
  let first = true;
  const stage = hold(bus, archive, {
    async read(log, options) {
      if (first) {
        first = false;
        await putSnapshot(bus, shared, 8);
        await trim(bus, 9);
      }
      return bus.read(log, options);
    },
  });
  await settled();
  expect([stage.holding.phase, hashOf(stage)]).toEqual(['ready', wanted]);
  expect(stage.shard.states[partition]?.counts.applied).toBe(10);
});

test('holding: trimmed beyond a state that answers reads: those end at once, and it starts anew', async () => {
  const bus = createMemoryBus();
  const { shared, archive } = openTestStores();
  await appendBlocks(bus, 1, 4);
  let isDeaf = false;
  const stage = hold(bus, archive, {
    read: (log, options) =>
      bus.read(log, {
        ...options,
        onMessage: (message) => (isDeaf && message.sequence <= 9 ? undefined : options.onMessage(message)),
      }),
  });
  await settled();
  expect(stage.holding.phase).toBe('ready');
  isDeaf = true;
  await appendBlocks(bus, 5, 9);
  await putSnapshot(bus, shared, 8);
  await trim(bus, 9);
  await appendBlocks(bus, 10);
  isDeaf = false;
  await settled();
  expect([stage.holding.phase, stage.shard.states[partition]?.counts.applied]).toEqual(['ready', 10]);
  expect(isReadable(stage.shard, partition)).toBe(true);
});

test('holding: a snapshot that is newer than the log is passed over: the log has lost its tail', async () => {
  const bus = createMemoryBus();
  const { own, archive } = openTestStores();
  await appendBlocks(bus, 1, 6);
  await putSnapshot(bus, own, 3);
  const longer = createMemoryBus();
  await appendBlocks(longer, 1, 9);
  await putSnapshot(longer, own, 9);
  const stage = hold(bus, archive);
  await settled();
  expect(stage.reads.from).toEqual([4]);
  expect(hashOf(stage)).toBe(partitionHash(await foldOfLog(bus)));
});

/** A store that answers nothing. */
const awayBlobs: BlobStore = {
  put: () => Promise.reject(new MillraceError('MILL_STORE_UNAVAILABLE', 'away')),
  get: () => Promise.reject(new MillraceError('MILL_STORE_UNAVAILABLE', 'away')),
  delete: () => Promise.reject(new MillraceError('MILL_STORE_UNAVAILABLE', 'away')),
  list: () => Promise.reject(new MillraceError('MILL_STORE_UNAVAILABLE', 'away')),
};

test('holding: a store that is out of reach is asked again, after longer and longer pauses', async () => {
  const bus = createMemoryBus();
  const { shared, archive } = openTestStores();
  await appendBlocks(bus, 1, 5);
  await putSnapshot(bus, shared, 5);
  const { list } = shared;
  const asked: number[] = [];
  const stage = hold(bus, archive);
  Object.assign(shared, {
    list: () => {
      asked.push(stage.clock.now());
      return awayBlobs.list('');
    },
  });
  await settled();
  for (let i = 0; i < 40; i += 1) {
    stage.clock.advanceBy(500);
    await settled();
  }
  expect(asked).toEqual([0, 500, 1_500, 3_500, 7_500, 15_500]);
  expect(stage.holding.phase).toBe('restoring');
  Object.assign(shared, { list });
  stage.clock.advanceBy(16_000);
  await settled();
  expect(stage.holding.phase).toBe('ready');
});

test('holding: a partition given away while it is restored is dropped, and nothing is followed', async () => {
  const bus = createMemoryBus();
  const { shared, archive } = openTestStores();
  await appendBlocks(bus, 1, 5);
  await putSnapshot(bus, shared, 5);
  const stage = hold(bus, archive);
  expect(stage.shard.held[partition]).toBe(true);
  await stage.holding.drop();
  await settled();
  expect([stage.shard.held[partition], stage.shard.states[partition], stage.reads.from]).toEqual([
    false,
    null,
    [],
  ]);
  expect(stage.clock.timersWaiting).toBe(0);
});

test('holding: a log that does not answer for a while: reads go on, and so does the fold where it stands', async () => {
  const bus = createMemoryBus();
  const { archive } = openTestStores();
  await appendBlocks(bus, 1, 3);
  let isAway = false;
  const stage = hold(bus, archive, {
    kv: (bucket) => (isAway ? Promise.reject(new Error('away')) : bus.kv(bucket)),
  });
  await settled();
  const state = stage.shard.states[partition];
  isAway = true;
  // A hole, which is to be looked into.
  await bus.append('gradients', subject, blockOf({ partition, sequence: 9, keys: keysOn(partition, 1) }));
  await settled();
  expect([stage.holding.phase, stage.holding.follower, isReadable(stage.shard, partition)]).toEqual([
    'ready',
    null,
    true,
  ]);
  isAway = false;
  stage.clock.advanceBy(500);
  await settled();
  expect([stage.shard.states[partition] === state, state?.counts.applied, stage.failures]).toEqual([
    true,
    4,
    [],
  ]);
});
