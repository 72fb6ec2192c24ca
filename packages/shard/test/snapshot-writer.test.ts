import { applyGradients, partitionHash } from '@millrace/core';
import { MillraceError, type Sequence } from '@millrace/protocol';
import {
  type BlobStore,
  createManualClock,
  createMemoryBus,
  createMetrics,
  type LogMessage,
  type MemoryBus,
} from '@millrace/runtime';
import { type Archive, createArchive, isBehindTrim, snapshotPath, trimmedBefore } from '@millrace/snapshot';
import { expect, onTestFinished, test } from 'vitest';
import type { ReadablePartition } from '../src/holdings.ts';
import { createModelShard, openPartition, takePartition } from '../src/model-shard.ts';
import { followPartition } from '../src/partition-follower.ts';
import { createShardMetrics } from '../src/shard-metrics.ts';
import { type SnapshotWriterOptions, startSnapshots } from '../src/snapshot-writer.ts';
import { file, layouts, quietLogger } from './small-cluster.ts';
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

const identity = { model: 'ads', fingerprint: fold.fingerprint, partition, layouts };

/** A shard that holds the partition and writes snapshots of it when it is told to. */
async function openStage(over: Partial<SnapshotWriterOptions> = {}) {
  const bus = createMemoryBus();
  const clock = createManualClock(5_000);
  const stores = openTestStores();
  const shard = createModelShard(file);
  const state = takePartition(shard, partition);
  const fail = (error: Error) => {
    throw error;
  };
  const follower = await followPartition(bus, state, {
    onCaughtUp: () => openPartition(shard, partition),
    onRejected: () => fail(new Error('rejected')),
    onHole: () => fail(new Error('hole')),
    onTrimmed: () => fail(new Error('trimmed')),
    onInterrupted: fail,
    onFailed: fail,
  });
  const held: ReadablePartition = { shard, partition, state, follower };
  const metrics = createMetrics({ service: 'shard' });
  const writer = startSnapshots({
    bus,
    clock,
    logger: quietLogger,
    metrics: createShardMetrics(metrics, { goneCount: () => 0, behind: () => 0 }),
    archive: stores.archive,
    hasOwn: true,
    hasShared: true,
    isDamaged: () => false,
    everyMs: 1_000,
    chains: 2,
    readable: () => [held],
    writesShared: () => true,
    ...over,
  });
  onTestFinished(async () => {
    await writer.close();
    await follower.close();
  });
  const names = async (store: 'own' | 'shared') =>
    (await stores.archive.list(store, fold))
      .map(({ sequence, base }) => (base === null ? `${sequence}` : `${sequence} on ${base}`))
      .reverse();
  const countOf = async (name: string, store: string) => {
    const line = (await metrics.text())
      .split('\n')
      .find((text) => text.startsWith(name) && text.includes(`"${store}"`));
    return Number(line?.split(' ').at(-1) ?? 0);
  };
  return { bus, clock, ...stores, shard, state, follower, writer, names, countOf };
}

const restored = async (archive: Archive, atMost?: Sequence) =>
  partitionHash((await archive.restorePartition(identity, atMost === undefined ? {} : { atMost }))!);

test('snapshots: full, then deltas while little has changed, in both stores', async () => {
  // So many that the log stays whole, to be folded from nothing.
  const { bus, writer, names, archive, countOf } = await openStage({ chains: 8 });
  // Six pairs of keys, so a block changes a sixth of the rows.
  await appendBlocks(bus, 1, 6);
  await writer.round();
  await appendBlocks(bus, 7);
  await writer.round();
  await appendBlocks(bus, 8, 9);
  await writer.round();
  // Half of all, for which a full one is as good.
  await appendBlocks(bus, 10, 12);
  await writer.round();
  const wanted = ['6', '7 on 6', '9 on 7', '12'];
  expect([await names('own'), await names('shared')]).toEqual([wanted, wanted]);
  for (const sequence of [6, 7, 9, 12])
    expect(await restored(archive, sequence)).toBe(partitionHash(await foldOfLog(bus, sequence)));
  expect([
    await countOf('mill_snapshots_total', 'own'),
    await countOf('mill_snapshots_total', 'shared'),
  ]).toEqual([4, 4]);
});

test('snapshots: what has not moved is not written again, and nothing is written of an empty log', async () => {
  const { bus, writer, names } = await openStage();
  await writer.round();
  expect(await names('own')).toEqual([]);
  await appendBlocks(bus, 1, 2);
  await writer.round();
  await writer.round();
  expect([await names('own'), await names('shared')]).toEqual([['2'], ['2']]);
});

test('snapshots: a state that another process left in the store is not written again', async () => {
  const { bus, writer, shared, names, countOf } = await openStage();
  await appendBlocks(bus, 1, 3);
  const other = await openStage();
  await appendBlocks(other.bus, 1, 3);
  await other.writer.round();
  for (const { name } of await other.shared.list('')) await shared.put(name, (await other.shared.get(name))!);
  await writer.round();
  expect([await names('shared'), await countOf('mill_snapshots_total', 'shared')]).toEqual([['3'], 0]);
  expect(await countOf('mill_snapshots_total', 'own')).toBe(1);
  // It was not this process that left it, so nothing builds on it.
  await appendBlocks(bus, 4);
  await writer.round();
  expect(await names('shared')).toEqual(['3', '4']);
});

test('snapshots: on a clock: every interval, and none after close', async () => {
  const { bus, clock, writer, names } = await openStage();
  await appendBlocks(bus, 1);
  clock.advanceBy(999);
  await settled();
  expect(await names('own')).toEqual([]);
  clock.advanceBy(1);
  await settled();
  expect(await names('own')).toEqual(['1']);
  await appendBlocks(bus, 2);
  clock.advanceBy(1_000);
  await settled();
  expect((await names('own')).at(-1)).toBe('2');
  await writer.close();
  await appendBlocks(bus, 3);
  clock.advanceBy(10_000);
  await settled();
  expect((await names('own')).at(-1)).toBe('2');
  expect(clock.timersWaiting).toBe(0);
});

test('snapshots: blocks that arrive during a capture are not in it, and are not lost', async () => {
  let nowMs = 0;
  const slow = createManualClock(0);
  // Every look at the clock finds it two milliseconds on, so that each block of the snapshot ends a slice.
  const clock = {
    ...slow,
    now: () => nowMs,
    setTimer: slow.setTimer.bind(slow),
    monotonicMs: () => {
      nowMs += 2;
      return nowMs;
    },
  };
  const { bus, state, writer, archive, names } = await openStage({ clock, everyMs: 0 });
  await appendBlocks(bus, 1, 6);
  const round = writer.round();
  await settled();
  // The capture waits for its next slice.
  await appendBlocks(bus, 7, 8);
  await settled();
  expect([state.sequence, await names('own')]).toEqual([6, []]);
  for (let i = 0; i < 20; i += 1) {
    slow.advanceBy(100);
    await settled();
  }
  await round;
  expect([state.sequence, await names('own')]).toEqual([8, ['6']]);
  expect(await restored(archive)).toBe(partitionHash(await foldOfLog(bus, 6)));
  // What came meanwhile is in the next one.
  const next = writer.round();
  for (let i = 0; i < 20; i += 1) {
    await settled();
    slow.advanceBy(100);
  }
  await next;
  expect(await names('own')).toEqual(['6', '8 on 6']);
  expect(await restored(archive)).toBe(partitionHash(await foldOfLog(bus)));
});

test('snapshots: the log is trimmed behind the oldest kept, once as many are kept as wanted', async () => {
  const { bus, writer, names, archive } = await openStage();
  const marks: number[] = [];
  // Each changes half of the rows or more, so each is full.
  for (let last = 6; last <= 18; last += 4) {
    await appendBlocks(bus, last === 6 ? 1 : last - 3, last);
    await writer.round();
    marks.push(await trimmedBefore(bus, subject));
  }
  expect([marks, await names('shared'), await names('own')]).toEqual([
    [0, 7, 11, 15],
    ['14', '18'],
    ['14', '18'],
  ]);
  expect((await bus.logState('gradients')).firstSequence).toBe(15);
  expect(await restored(archive, 14)).toBe(await restored(archive, 17));
});

test('snapshots: only this shard’s own directory: nothing is trimmed', async () => {
  const { bus, writer, names } = await openStage({ hasShared: false });
  for (let last = 6; last <= 18; last += 4) {
    await appendBlocks(bus, last === 6 ? 1 : last - 3, last);
    await writer.round();
  }
  expect([await names('own'), await names('shared')]).toEqual([['14', '18'], []]);
  expect([await trimmedBefore(bus, subject), (await bus.logState('gradients')).firstSequence]).toEqual([
    0, 1,
  ]);
});

test('snapshots: another owner writes to the shared store: what follows its turn is full', async () => {
  let isOurs = true;
  const { bus, writer, names } = await openStage({ writesShared: () => isOurs });
  await appendBlocks(bus, 1, 6);
  await writer.round();
  isOurs = false;
  await appendBlocks(bus, 7);
  await writer.round();
  isOurs = true;
  await appendBlocks(bus, 8);
  await writer.round();
  await appendBlocks(bus, 9);
  await writer.round();
  expect(await names('shared')).toEqual(['6', '8', '9 on 8']);
  expect(await names('own')).toEqual(['6', '7 on 6', '8', '9 on 8']);
});

/** Makes a store fail while `isAway` says so. */
function fickle(blobs: BlobStore, isAway: () => boolean): void {
  const { put, list } = blobs;
  const away = () => Promise.reject(new MillraceError('MILL_STORE_UNAVAILABLE', 'full'));
  Object.assign(blobs, {
    put: (...args: Parameters<typeof put>) => (isAway() ? away() : put(...args)),
    list: (...args: Parameters<typeof list>) => (isAway() ? away() : list(...args)),
  });
}

test('snapshots: a store that fails is tried again at the next round; the other one goes on', async () => {
  let isAway = true;
  const { bus, shared, writer, names, countOf, archive } = await openStage();
  fickle(shared, () => isAway);
  await appendBlocks(bus, 1, 6);
  await writer.round();
  await appendBlocks(bus, 7);
  await writer.round();
  expect(await names('own')).toEqual(['6', '7 on 6']);
  expect(await countOf('mill_snapshot_failures_total', 'shared')).toBe(2);
  isAway = false;
  await writer.round();
  expect([await names('own'), await names('shared')]).toEqual([['6', '7 on 6'], ['7']]);
  await appendBlocks(bus, 8);
  await writer.round();
  expect([await names('own'), await names('shared')]).toEqual([
    ['6', '7 on 6', '8 on 7'],
    ['7', '8 on 7'],
  ]);
  expect(await restored(archive)).toBe(partitionHash(await foldOfLog(bus)));
});

test('snapshots: one that is not found whole after it was written is written again, and nothing is trimmed for it', async () => {
  const { bus, shared, writer, names } = await openStage();
  const { put } = shared;
  let isCorrupting = true;
  Object.assign(shared, {
    async put(name: string, chunks: Iterable<Uint8Array>) {
      await put(name, chunks);
      if (isCorrupting) await damageVia(put, name);
    },
  });
  const damageVia = (write: typeof put, name: string) =>
    damage({ ...shared, put: write, get: shared.get, delete: shared.delete, list: shared.list }, name, 150);
  isCorrupting = false;
  await appendBlocks(bus, 1, 6);
  await writer.round();
  isCorrupting = true;
  await appendBlocks(bus, 7, 10);
  await writer.round();
  expect([await names('shared'), await trimmedBefore(bus, subject)]).toEqual([['6', '10'], 0]);
  isCorrupting = false;
  await writer.round();
  expect([await names('shared'), await trimmedBefore(bus, subject)]).toEqual([['6', '10'], 7]);
  await appendBlocks(bus, 11);
  await writer.round();
  expect(await names('shared')).toEqual(['6', '10', '11 on 10']);
});

test('snapshots: one file of the shared store is damaged, whichever: an older one and the log give the state', async () => {
  const { bus, shared, writer, names, state } = await openStage();
  // A full one, and one that builds on it, twice over.
  for (const [from, to] of [
    [1, 6],
    [7, 7],
    [8, 12],
    [13, 13],
  ]) {
    await appendBlocks(bus, from, to);
    await writer.round();
  }
  expect([await names('shared'), await trimmedBefore(bus, subject)]).toEqual([
    ['6', '7 on 6', '12', '13 on 12'],
    7,
  ]);
  for (const { name } of await shared.list('')) {
    const kept: Uint8Array[] = [];
    for await (const chunk of (await shared.get(name))!) kept.push(chunk);
    await damage(shared, name, 150);
    expect([name, await restoredFrom(shared, bus)]).toEqual([name, partitionHash(state)]);
    await shared.put(name, kept);
  }
});

test('snapshots: the newest is damaged between its being read back and the trim: the state is there all the same', async () => {
  const { bus, shared, writer, names, state } = await openStage();
  await appendBlocks(bus, 1, 6);
  await writer.round();
  await appendBlocks(bus, 7, 10);
  await writer.round();
  const remove = shared.delete;
  // Older ones are deleted before the log is trimmed.
  shared.delete = async (name) => {
    await damage(shared, snapshotPath(fold, { sequence: 14, base: null }), 150);
    await remove(name);
  };
  await appendBlocks(bus, 11, 14);
  await writer.round();
  expect([await names('shared'), await trimmedBefore(bus, subject)]).toEqual([['10', '14'], 11]);
  expect(await restoredFrom(shared, bus)).toBe(partitionHash(state));
});

/** Hash of what a shard with an empty disk comes to: the newest whole snapshot of the shared store, and the log after it. */
async function restoredFrom(shared: BlobStore, bus: MemoryBus): Promise<string> {
  const archive = createArchive({ stores: [{ name: 'shared', blobs: shared }], onDamaged: () => undefined });
  const state = await archive.restorePartition(identity);
  const before = await trimmedBefore(bus, subject);
  if (state === null || isBehindTrim(state.sequence, before))
    throw new Error(`nothing whole reaches ${before - 1}`);
  const onMessage = (message: LogMessage) => void applyGradients(state, message, 'report');
  const onError = (error: Error) => {
    throw error;
  };
  const reader = await bus.read('gradients', { subject, from: state.sequence + 1, onMessage, onError });
  await reader.close();
  return partitionHash(state);
}

test('snapshots: one that a dying writer left cut short counts for none: the log waits until others are there', async () => {
  const { bus, shared, writer, names, countOf } = await openStage();
  await appendBlocks(bus, 1, 2);
  await putSnapshot(bus, shared, 2);
  await cutShort(shared, snapshotPath(fold, { sequence: 2, base: null }));
  await appendBlocks(bus, 3, 6);
  await writer.round();
  expect([await names('shared'), await trimmedBefore(bus, subject)]).toEqual([['2', '6'], 0]);
  await appendBlocks(bus, 7, 10);
  await writer.round();
  expect([await names('shared'), await trimmedBefore(bus, subject)]).toEqual([['6', '10'], 7]);
  expect(await countOf('mill_snapshot_failures_total', 'shared')).toBe(0);
  // Nor does it push out one that is whole.
  await appendBlocks(bus, 11, 12);
  await putSnapshot(bus, shared, 12);
  await cutShort(shared, snapshotPath(fold, { sequence: 12, base: null }));
  await appendBlocks(bus, 13, 16);
  await writer.round();
  expect([await names('shared'), await trimmedBefore(bus, subject)]).toEqual([['10', '12', '16'], 11]);
});

/** Leaves the first half of a blob. */
async function cutShort(blobs: BlobStore, name: string): Promise<void> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of (await blobs.get(name))!) chunks.push(chunk);
  const whole = Buffer.concat(chunks);
  await blobs.put(name, [whole.subarray(0, whole.length / 2)]);
}

test('snapshots: a log that cannot be trimmed is tried again, without another snapshot', async () => {
  let isAway = true;
  const { bus, writer, names, countOf } = await openStage();
  const trim = bus.trim.bind(bus);
  bus.trim = (...args) => (isAway ? Promise.reject(new Error('no answer')) : trim(...args));
  await appendBlocks(bus, 1, 6);
  await writer.round();
  await appendBlocks(bus, 7, 10);
  await writer.round();
  expect((await bus.logState('gradients')).firstSequence).toBe(1);
  isAway = false;
  await writer.round();
  expect([(await bus.logState('gradients')).firstSequence, await names('shared')]).toEqual([7, ['6', '10']]);
  expect(await countOf('mill_snapshots_total', 'shared')).toBe(2);
});

test('snapshots: a partition that was let go or began anew meanwhile is passed over', async () => {
  const { bus, shard, writer, names } = await openStage();
  await appendBlocks(bus, 1, 6);
  takePartition(shard, partition);
  await writer.round();
  expect([await names('own'), await names('shared')]).toEqual([[], []]);
});

test.each([
  { tookMs: 30, restMs: 210 },
  // Most of it was waited for a store, so no more than a minute.
  { tookMs: 20_000, restMs: 60_000 },
])(
  'snapshots: between two partitions the machine is left to others: $restMs ms after $tookMs',
  async ({ tookMs, restMs }) => {
    const slow = createManualClock(0);
    let nowMs = 0;
    const clock = { ...slow, now: () => nowMs, setTimer: slow.setTimer.bind(slow), monotonicMs: () => nowMs };
    const { bus, writer, names } = await openStage({
      clock,
      // What is asked on the way takes so long by this clock.
      writesShared: () => {
        nowMs += tookMs;
        return true;
      },
    });
    await appendBlocks(bus, 1, 6);
    let ended = false;
    const round = writer.round().then(() => {
      ended = true;
    });
    await settled();
    expect([ended, await names('own')]).toEqual([false, ['6']]);
    slow.advanceBy(restMs - 1);
    await settled();
    expect(ended).toBe(false);
    slow.advanceBy(1);
    await round;
  },
);

test('snapshots: closing does not wait for such a pause', async () => {
  const slow = createManualClock(0);
  let nowMs = 0;
  const clock = { ...slow, now: () => nowMs, setTimer: slow.setTimer.bind(slow), monotonicMs: () => nowMs };
  const writesShared = () => {
    nowMs += 30;
    return true;
  };
  const { bus, writer } = await openStage({ clock, writesShared });
  await appendBlocks(bus, 1, 6);
  void writer.round();
  await settled();
  await writer.close();
  expect(slow.timersWaiting).toBe(0);
});
