import {
  applyDense,
  applyGradients,
  createDenseState,
  type DenseState,
  denseHash,
  type PartitionState,
  partitionHash,
} from '@millrace/core';
import {
  denseSubject,
  encodeDenseBlock,
  encodeGradientBlock,
  gradientsSubject,
  type ModelFile,
  modelNameFrom,
} from '@millrace/protocol';
import { type Bus, createMemoryBlobs, createMemoryBus, type MemoryBus } from '@millrace/runtime';
import { expect, test } from 'vitest';
import { type Archive, createArchive } from '../src/archive.ts';
import { captureDense, capturePartition } from '../src/capture.ts';
import {
  foldDenseAt,
  foldPartitionAt,
  newestBlockAtOrBelow,
  type PartitionHistoryOptions,
  partitionIdentity,
} from '../src/history.ts';
import { emptyPartition } from '../src/restore.ts';
import { trimBehind } from '../src/trim-log.ts';
import { file as shaped } from './small-state.ts';

const file: ModelFile = shaped;
const partition = 1;
const identity = partitionIdentity(file, partition);
const subject = gradientsSubject(modelNameFrom(file.name), partition);
const elsewhere = gradientsSubject(modelNameFrom(file.name), 2);
const dense = denseSubject(modelNameFrom(file.name));
const { model, fingerprint } = identity;

interface BlockInput {
  readonly timeMs: number;
  readonly previous?: number;
  readonly partition?: number;
}

/** Block `n` of the producer; its gradients differ from those of all others. */
function block(n: number, { timeMs, previous = n - 1, partition: of = partition }: BlockInput): Uint8Array {
  const sections = identity.layouts.map(({ dim }, table) => ({
    table,
    dim,
    count: 2,
    keys: Uint32Array.of(n % 5, 0, 7, 0),
    gradients: new Float32Array(2 * dim).map((_, i) => ((3 * n + i) % 7) / 4 - 0.5),
    curvature: identity.layouts[table].needsCurvature ? new Float32Array(2 * dim).fill(0.25) : null,
  }));
  return encodeGradientBlock({
    producer: 'u',
    sequence: n,
    previous,
    model,
    fingerprint,
    partition: of,
    timeMs,
    sections,
  });
}

interface Stage {
  readonly bus: MemoryBus;
  readonly archive: Archive;
  readonly damaged: string[];
  /** Sequence and hash after each block of the partition; the first entry is the empty state. */
  readonly truth: { readonly sequence: number; readonly hash: string }[];
  fold(
    options: Partial<PartitionHistoryOptions> & Pick<PartitionHistoryOptions, 'until'>,
  ): Promise<PartitionState>;
}

/** Blocks of the partition have odd sequences, those of another even ones. Made at 10, 20, …. */
function stateAfter(blocks: number): PartitionState {
  const state = emptyPartition(identity);
  for (let n = 1; n <= blocks; n += 1)
    applyGradients(state, { sequence: 2 * n - 1, payload: block(n, { timeMs: 10 * n }) }, 'report');
  return state;
}

async function stage(blocks: number): Promise<Stage> {
  const bus = createMemoryBus();
  const damaged: string[] = [];
  const archive = createArchive({
    stores: [{ name: 'shared', blobs: createMemoryBlobs() }],
    onDamaged: (_, path) => damaged.push(path),
  });
  const truth: Stage['truth'] = [];
  for (let n = 1; n <= blocks; n += 1) {
    await bus.append('gradients', subject, block(n, { timeMs: 10 * n }));
    await bus.append('gradients', elsewhere, block(n, { timeMs: 10 * n + 1, partition: 2 }));
  }
  for (let n = 0; n <= Math.min(blocks, 10); n += 1) {
    const state = stateAfter(n);
    truth.push({ sequence: state.sequence, hash: partitionHash(state) });
  }
  const fold: Stage['fold'] = (options) => foldPartitionAt({ bus, archive, file, partition, ...options });
  return { bus, archive, damaged, truth, fold };
}

async function putSnapshot({ archive }: Stage, state: PartitionState): Promise<void> {
  const { sequence } = state;
  const blocks = [...capturePartition(state, null)];
  await archive.write('shared', { model, fingerprint, fold: partition }, { sequence, base: null }, blocks);
}

const gone = expect.objectContaining({ code: 'MILL_HISTORY_GONE' });

test('history: a partition at any sequence is the fold of the log up to it, with a snapshot or without', async () => {
  const now = await stage(6);
  const { truth, fold } = now;
  const check = async () => {
    for (let sequence = 0; sequence <= 13; sequence += 1) {
      const wanted = truth[Math.min(6, (sequence + 1) >> 1)];
      expect([sequence, partitionHash(await fold({ until: { sequence } }))]).toEqual([sequence, wanted.hash]);
    }
  };
  await check();
  await putSnapshot(now, stateAfter(2));
  await putSnapshot(now, stateAfter(4));
  await check();
});

test('history: without an archive the log alone is folded', async () => {
  const { truth, fold } = await stage(3);
  expect(partitionHash(await fold({ until: { sequence: 5 }, archive: null }))).toBe(truth[3].hash);
});

test('history: at a time it holds the blocks that were made until then', async () => {
  const now = await stage(5);
  const { truth, fold } = now;
  const check = async (from: number) => {
    for (let timeMs = from; timeMs <= 60; timeMs += 5) {
      const state = await fold({ until: { timeMs } });
      expect([timeMs, partitionHash(state)]).toEqual([
        timeMs,
        truth[Math.min(5, Math.floor(timeMs / 10))].hash,
      ]);
    }
  };
  await check(5);
  await putSnapshot(now, stateAfter(2));
  await putSnapshot(now, stateAfter(4));
  await check(5);
  // Behind the older snapshot, whose own block is gone: from the next block's time on it is known what was there.
  await trimBehind(now.bus, { log: 'gradients', subject }, truth[2].sequence + 1, 1);
  await check(30);
  for (const timeMs of [5, 15, 25]) await expect(fold({ until: { timeMs } })).rejects.toThrowError(gone);
});

test('history: shows the state at each stop on its way, between messages and beyond the last', async () => {
  const now = await stage(4);
  const { truth, fold } = now;
  await putSnapshot(now, stateAfter(3));
  const seen: [number, string][] = [];
  const end = await fold({
    until: { sequence: 7 },
    stops: [1, 4, 5, 7],
    onStop: (state, sequence) => seen.push([sequence, partitionHash(state)]),
  });
  expect(seen).toEqual([
    [1, truth[1].hash],
    [4, truth[2].hash],
    [5, truth[3].hash],
    [7, truth[4].hash],
  ]);
  expect(partitionHash(end)).toBe(truth[4].hash);
});

test('history: begins with nothing, or with the oldest snapshot of a trimmed log, when asked to', async () => {
  const now = await stage(6);
  const { truth, fold, bus } = now;
  // A wrong newest snapshot tells which one was used.
  const wrong = emptyPartition(identity);
  applyGradients(wrong, { sequence: 7, payload: block(1, { timeMs: 0 }) }, 'accept');
  await putSnapshot(now, stateAfter(2));
  await putSnapshot(now, wrong);
  const until = { sequence: 11 };
  expect(partitionHash(await fold({ until }))).not.toBe(truth[6].hash);
  expect(partitionHash(await fold({ until, start: 'oldest' }))).toBe(truth[6].hash);
  await trimBehind(bus, { log: 'gradients', subject }, truth[2].sequence + 1, 1);
  expect(partitionHash(await fold({ until, start: 'oldest' }))).toBe(truth[6].hash);
  // One that is older than what the log continues is of no use.
  await trimBehind(bus, { log: 'gradients', subject }, truth[3].sequence + 1, 1);
  await putSnapshot(now, stateAfter(3));
  expect(partitionHash(await fold({ until, start: 'oldest' }))).toBe(truth[6].hash);
});

test('history: what neither log nor snapshots reach back to is gone; the oldest snapshot itself is not', async () => {
  const now = await stage(5);
  const { truth, fold, bus } = now;
  await putSnapshot(now, stateAfter(2));
  await putSnapshot(now, stateAfter(4));
  await trimBehind(bus, { log: 'gradients', subject }, truth[2].sequence + 1, 1);
  for (const sequence of [1, 2]) await expect(fold({ until: { sequence } })).rejects.toThrowError(gone);
  for (const sequence of [3, 4, 5, 9]) {
    const state = await fold({ until: { sequence } });
    expect(partitionHash(state)).toBe(truth[(sequence + 1) >> 1].hash);
  }
  await expect(fold({ until: { sequence: 5 }, archive: null })).rejects.toThrowError(gone);
  // Trimmed to the end: the newest snapshot is the answer to its own moment alone.
  await trimBehind(bus, { log: 'gradients', subject }, 100, 1);
  expect(partitionHash(await fold({ until: { sequence: truth[4].sequence } }))).toBe(truth[4].hash);
  await expect(fold({ until: { sequence: truth[4].sequence - 1 } })).rejects.toThrowError(gone);
});

test('history: a damaged snapshot is told and an older one used', async () => {
  const now = await stage(4);
  const { truth, fold, archive, damaged } = now;
  await putSnapshot(now, stateAfter(1));
  const blocks = [...capturePartition(stateAfter(3), null)].map((bytes) => new Uint8Array(bytes));
  blocks[1][blocks[1].length - 1] ^= 1;
  const fold3 = { model, fingerprint, fold: partition };
  await archive.write('shared', fold3, { sequence: truth[3].sequence, base: null }, blocks);
  expect(partitionHash(await fold({ until: { sequence: 7 } }))).toBe(truth[4].hash);
  expect(damaged.length).toBe(1);
});

test('history: a log trimmed while it is read: begins anew with the snapshot that allowed it', async () => {
  const now = await stage(300);
  const { fold, bus } = now;
  const until = { sequence: 599 };
  const plain = await fold({ until });
  let trimmed = 0;
  const meddle = async () => {
    // Behind what has been read when it is looked at next: the reader never gets what lies between.
    await putSnapshot(now, plain);
    await trimBehind(bus, { log: 'gradients', subject }, plain.sequence + 1, 1);
    trimmed += 1;
  };
  const shown: number[] = [];
  const state = await fold({
    bus: slowBus(bus, { atMessage: 100, meddle }),
    until,
    onProgress: ({ messages }) => shown.push(messages),
  });
  expect(trimmed).toBe(1);
  expect(partitionHash(state)).toBe(partitionHash(plain));
  expect(shown.at(-1)).toBe(0);
});

test('history: a log trimmed away under a fold that no snapshot allows is gone', async () => {
  const { fold, bus } = await stage(200);
  const meddle = () => trimBehind(bus, { log: 'gradients', subject }, 300, 1);
  await expect(
    fold({ bus: slowBus(bus, { atMessage: 50, meddle }), until: { sequence: 399 } }),
  ).rejects.toThrowError(gone);
});

test('history: a block that the log lacks is passed over as the shard does; one that the reader lost is not', async () => {
  const bus = createMemoryBus();
  const archive = null;
  for (const n of [1, 2, 4, 5]) await bus.append('gradients', subject, block(n, { timeMs: n }));
  const wanted = emptyPartition(identity);
  for (const [i, n] of [1, 2, 4, 5].entries())
    applyGradients(wanted, { sequence: i + 1, payload: block(n, { timeMs: n }) }, 'accept');
  const until = { sequence: 4 };
  const taken: string[] = [];
  const onTaken: PartitionHistoryOptions['onTaken'] = (_, outcome) => taken.push(outcome);
  const folded = await foldPartitionAt({ bus, archive, file, partition, until, onTaken });
  expect(taken).toEqual(['applied', 'applied', 'hole', 'applied']);
  expect(partitionHash(folded)).toBe(partitionHash(wanted));
  const lossy = slowBus(bus, { atMessage: 2, meddle: async () => {}, dropIt: true });
  const again = await foldPartitionAt({ bus: lossy, archive, file, partition, until });
  expect(partitionHash(again)).toBe(partitionHash(wanted));
});

test('history: a message that no shard can apply moves the state on, at any time', async () => {
  const { fold, bus } = await stage(1);
  await bus.append('gradients', subject, Uint8Array.of(1, 2, 3));
  const state = await fold({ until: { timeMs: 10 } });
  expect([state.sequence, state.counts.rejected]).toEqual([3, 1]);
  expect(state.tables.map(({ count }) => count)).toEqual(stateAfter(1).tables.map(({ count }) => count));
});

const denseOptions = {
  model,
  fingerprint,
  optimizer: { type: 'adam', learningRate: 0.25 } as const,
};
const initial = () => createDenseState({ ...denseOptions, initial: Float32Array.of(1, 2, 3) });
const denseBlock = (n: number) =>
  encodeDenseBlock({
    producer: 'u',
    sequence: n,
    previous: n - 1,
    model,
    fingerprint,
    timeMs: 10 * n,
    gradients: Float32Array.of(n, -n, 0.5),
  });

test('history: dense weights at a sequence and at a time, with a snapshot or without', async () => {
  const now = await stage(0);
  const { bus, archive } = now;
  const truth: DenseState[] = [initial()];
  for (let n = 1; n <= 4; n += 1) {
    await bus.append('dense', dense, denseBlock(n));
    const state = initial();
    for (let m = 1; m <= n; m += 1) applyDense(state, { sequence: m, payload: denseBlock(m) }, 'report');
    truth.push(state);
  }
  const check = async (from: number) => {
    for (let n = from; n <= 4; n += 1) {
      const bySequence = await foldDenseAt({ bus, archive, model, initial, until: { sequence: n } });
      expect(denseHash(bySequence)).toBe(denseHash(truth[n]));
      const byTime = await foldDenseAt({ bus, archive, model, initial, until: { timeMs: 10 * n + 9 } });
      expect(denseHash(byTime)).toBe(denseHash(truth[n]));
    }
  };
  await check(0);
  const of = { model, fingerprint, fold: 'dense' } as const;
  await archive.write('shared', of, { sequence: 2, base: null }, [...captureDense(truth[2])]);
  await check(0);
  await trimBehind(bus, { log: 'dense', subject: dense }, 2, 1);
  await check(2);
  await expect(foldDenseAt({ bus, archive, model, initial, until: { sequence: 1 } })).rejects.toThrowError(
    gone,
  );
});

test('history: the newest gradient block at or below a sequence, of whatever partition', async () => {
  const { bus } = await stage(3);
  const found = (sequence: number) => newestBlockAtOrBelow(bus, file, sequence);
  expect(await found(0)).toBe(null);
  expect(await found(1)).toEqual({ sequence: 1, timeMs: 10 });
  expect(await found(4)).toEqual({ sequence: 4, timeMs: 21 });
  expect(await found(99)).toEqual({ sequence: 6, timeMs: 31 });
  // Far behind the end of the log.
  for (let i = 0; i < 600; i += 1) await bus.append('gradients', 'mill.gradients.other.0', Uint8Array.of(0));
  expect(await found(600)).toEqual({ sequence: 6, timeMs: 31 });
});

/** A bus whose first reader meets trouble before its `atMessage`th message: `meddle` runs, and the message may be lost. */
function slowBus(
  bus: Bus,
  { atMessage, meddle, dropIt = false }: { atMessage: number; meddle: () => Promise<void>; dropIt?: boolean },
): Bus {
  let seen = 0;
  const bent: Bus = Object.create(bus);
  bent.headOf = (log, of) => bus.headOf(log, of);
  bent.kv = (bucket) => bus.kv(bucket);
  bent.read = (log, options) =>
    bus.read(log, {
      ...options,
      onMessage: async (message) => {
        seen += 1;
        if (seen === atMessage) {
          await meddle();
          if (dropIt) return;
        }
        await options.onMessage(message);
      },
    });
  return bent;
}
