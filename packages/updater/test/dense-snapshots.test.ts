import { applyDense, createDenseState, type DenseState, denseHash } from '@millrace/core';
import { denseSubject, encodeDenseBlock, modelNameFrom } from '@millrace/protocol';
import { createManualClock, createMemoryBlobs, createMemoryBus, type MemoryBus } from '@millrace/runtime';
import { captureDense, createArchive, snapshotPath, trimmedBefore } from '@millrace/snapshot';
import { expect, test } from 'vitest';
import { keepDenseSnapshots } from '../src/dense-snapshots.ts';
import { messagesOn, quietLogger } from './small-model.ts';

const subject = denseSubject(modelNameFrom('ads'));
const turn = () => new Promise((resolve) => setImmediate(resolve));

function freshState(): DenseState {
  const optimizer = { type: 'adagrad', learningRate: 0.1 } as const;
  return createDenseState({ model: 'ads', fingerprint: 7, initial: Float32Array.of(1, 2, 3), optimizer });
}

async function learn(bus: MemoryBus, state: DenseState, batch: number): Promise<void> {
  const payload = encodeDenseBlock({
    producer: 'p',
    sequence: batch,
    previous: batch - 1,
    model: 'ads',
    fingerprint: 7,
    timeMs: 1,
    gradients: Float32Array.of(batch, -1, 0.5),
  });
  const sequence = await bus.append('dense', subject, payload);
  applyDense(state, { sequence, payload }, 'report');
}

function stage(everyMs: number, onDamaged = failOnDamage) {
  const bus = createMemoryBus();
  const clock = createManualClock(1_000);
  const state = freshState();
  const blobs = createMemoryBlobs();
  const archive = createArchive({ stores: [{ name: 'shared', blobs }], onDamaged });
  const options = { bus, clock, logger: quietLogger, state, archive, everyMs, fulls: 2 };
  return { bus, clock, state, blobs, archive, snapshots: keepDenseSnapshots(options) };
}

function failOnDamage(_store: string, path: string): void {
  throw new Error(`${path} is damaged`);
}

const fold = { model: 'ads', fingerprint: 7, fold: 'dense' } as const;

test('dense snapshots: what is written gives the same state, and the log is trimmed behind the oldest kept', async () => {
  const { bus, state, archive, snapshots } = stage(0);
  for (let batch = 1; batch <= 6; batch += 1) {
    await learn(bus, state, batch);
    if (batch % 2 === 0) await snapshots.write();
  }
  expect((await archive.list('shared', fold)).map(({ sequence }) => sequence)).toEqual([6, 4]);
  expect((await messagesOn(bus, 'dense', subject)).map(({ sequence }) => sequence)).toEqual([5, 6]);
  const restored = freshState();
  expect(await archive.restoreDense(restored)).toBe(true);
  expect(denseHash(restored)).toBe(denseHash(state));
  const older = freshState();
  await archive.restoreDense(older, { atMost: 5 });
  expect(older.sequence).toBe(4);
  for (const { sequence, payload } of await messagesOn(bus, 'dense', subject)) {
    applyDense(older, { sequence, payload }, 'report');
  }
  expect(denseHash(older)).toBe(denseHash(state));
  await snapshots.close();
});

test('dense snapshots: are written at intervals, while something is learned', async () => {
  const { bus, clock, state, archive, snapshots } = stage(100);
  await learn(bus, state, 1);
  clock.advanceBy(99);
  await turn();
  expect(await archive.list('shared', fold)).toEqual([]);
  clock.advanceBy(1);
  await turn();
  expect(await archive.list('shared', fold)).toEqual([{ sequence: 1, base: null }]);
  clock.advanceBy(100);
  await turn();
  expect(await archive.list('shared', fold)).toHaveLength(1);
  await snapshots.close();
  expect(clock.timersWaiting).toBe(0);
});

test('dense snapshots: a log that cannot be trimmed now is trimmed another time', async () => {
  const { bus, clock, state, archive } = stage(0);
  let isDown = true;
  const trim: MemoryBus['trim'] = (log, of, before) =>
    isDown ? Promise.reject(new Error('down')) : bus.trim(log, of, before);
  const weak = Object.assign(Object.create(bus) as MemoryBus, { trim, kv: (of: 'trims') => bus.kv(of) });
  const snapshots = keepDenseSnapshots({
    ...{ bus: weak, clock, logger: quietLogger, state, archive },
    everyMs: 0,
    fulls: 2,
  });
  await learn(bus, state, 1);
  await snapshots.write();
  await learn(bus, state, 2);
  await expect(snapshots.write()).rejects.toThrow('down');
  expect(await messagesOn(bus, 'dense', subject)).toHaveLength(2);
  isDown = false;
  await learn(bus, state, 3);
  await snapshots.write();
  expect((await messagesOn(bus, 'dense', subject)).map(({ sequence }) => sequence)).toEqual([3]);
  await snapshots.close();
});

test('dense snapshots: one that a dying writer left cut short counts for none: the log waits until others are there', async () => {
  const damaged: string[] = [];
  const { bus, state, blobs, archive, snapshots } = stage(0, (_, path) => void damaged.push(path));
  const learnTwo = async () => {
    for (let i = 0; i < 2; i += 1) await learn(bus, state, state.sequence + 1);
  };
  await learnTwo();
  const left = snapshotPath(fold, { sequence: 2, base: null });
  const whole = Buffer.concat([...captureDense(state)]);
  await blobs.put(left, [whole.subarray(0, whole.length / 2)]);
  await learnTwo();
  await snapshots.write();
  expect([damaged, await trimmedBefore(bus, subject)]).toEqual([[left], 0]);
  await learnTwo();
  await snapshots.write();
  expect((await archive.list('shared', fold)).map(({ sequence }) => sequence)).toEqual([6, 4]);
  expect(await trimmedBefore(bus, subject)).toBe(5);
  await snapshots.close();
});
