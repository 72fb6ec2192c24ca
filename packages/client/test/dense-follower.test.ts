import { applyDense, createDenseState, type DenseState, denseHash } from '@millrace/core';
import { denseSubject, encodeDenseBlock, modelNameFrom } from '@millrace/protocol';
import {
  type Bus,
  createLogger,
  createMemoryBlobs,
  createMemoryBus,
  type MemoryBus,
} from '@millrace/runtime';
import { type Archive, captureDense, createArchive, trimBehind } from '@millrace/snapshot';
import { expect, test } from 'vitest';
import { followDense } from '../src/dense-follower.ts';

const subject = denseSubject(modelNameFrom('ads'));

function stateOf(parameters: number): DenseState {
  return createDenseState({
    model: 'ads',
    fingerprint: 5,
    initial: new Float32Array(parameters),
    optimizer: { type: 'sgd', learningRate: 1 },
  });
}

const block = (sequence: number, gradient: number) =>
  encodeDenseBlock({
    producer: 'p',
    sequence,
    previous: sequence - 1,
    model: 'ads',
    fingerprint: 5,
    timeMs: 0,
    gradients: Float32Array.of(gradient, -gradient),
  });

function quiet(lines: string[] = []) {
  return createLogger({
    service: 'test',
    level: 'error',
    destination: { write: (line) => void lines.push(line) },
  });
}

const fail = (error: Error) => {
  throw error;
};

async function hasCaughtUp(caughtUp: Promise<void>): Promise<boolean> {
  let done = false;
  void caughtUp.then(() => {
    done = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  return done;
}

test('dense follower: folds what is there and what comes; caught up at the head of its start', async () => {
  const bus = createMemoryBus();
  await bus.append('dense', subject, block(1, 1));
  await bus.append('dense', subject, block(2, 10));
  const state = stateOf(2);
  const follower = await followDense({ bus, archive: null, state, logger: quiet(), onFailed: fail });
  await follower.caughtUp;
  expect([state.sequence, Array.from(state.weights)]).toEqual([2, [-11, 11]]);
  await bus.append('dense', subject, block(3, 100));
  expect(Array.from(state.weights)).toEqual([-111, 111]);
  await follower.close();
  await bus.append('dense', subject, block(4, 1));
  expect(state.sequence).toBe(3);
});

test('dense follower: an empty log is caught up with at once', async () => {
  const bus = createMemoryBus();
  const follower = await followDense({
    bus,
    archive: null,
    state: stateOf(2),
    logger: quiet(),
    onFailed: fail,
  });
  expect(await hasCaughtUp(follower.caughtUp)).toBe(true);
  await follower.close();
});

test('dense follower: a net without dense weights follows nothing', async () => {
  const bus: Bus = Object.create(null);
  const follower = await followDense({
    bus,
    archive: null,
    state: stateOf(0),
    logger: quiet(),
    onFailed: fail,
  });
  expect(await hasCaughtUp(follower.caughtUp)).toBe(true);
  await follower.close();
});

/** A bus that hands messages on when the test says so. */
function held(bus: MemoryBus): { bus: Bus; next(): void } {
  const waiting: (() => void)[] = [];
  const bent: Bus = Object.create(bus);
  bent.headOf = (log, of) => bus.headOf(log, of);
  bent.kv = (bucket) => bus.kv(bucket);
  bent.read = (log, options) =>
    bus.read(log, {
      ...options,
      onMessage: (message) => void waiting.push(() => void options.onMessage(message)),
    });
  return { bus: bent, next: () => waiting.shift()?.() };
}

test('dense follower: caught up: not before the head, repeats and damage count as progress', async () => {
  const bus = createMemoryBus();
  const lines: string[] = [];
  await bus.append('dense', subject, block(1, 1));
  await bus.append('dense', subject, block(1, 1));
  await bus.append('dense', subject, Uint8Array.of(1, 2));
  const slow = held(bus);
  const state = stateOf(2);
  const follower = await followDense({
    bus: slow.bus,
    archive: null,
    state,
    logger: quiet(lines),
    onFailed: fail,
  });
  slow.next();
  slow.next();
  expect(await hasCaughtUp(follower.caughtUp)).toBe(false);
  slow.next();
  expect(await hasCaughtUp(follower.caughtUp)).toBe(true);
  expect([state.counts, Array.from(state.weights)]).toEqual([
    { applied: 1, duplicates: 1, rejected: 1 },
    [-1, 1],
  ]);
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { msg: 'dense block rejected', model: 'ads', sequence: 3, code: 'MILL_BLOCK_INVALID' },
  ]);
  await follower.close();
});

test('dense follower: a hole in the log does not stop it, for every reader sees the same one', async () => {
  const bus = createMemoryBus();
  await bus.append('dense', subject, block(1, 1));
  await bus.append('dense', subject, block(3, 100));
  const state = stateOf(2);
  const follower = await followDense({ bus, archive: null, state, logger: quiet(), onFailed: fail });
  await follower.caughtUp;
  expect([state.sequence, Array.from(state.weights)]).toEqual([2, [-101, 101]]);
  await follower.close();
});

test('dense follower: goes on from where a state stands', async () => {
  const bus = createMemoryBus();
  for (let n = 1; n <= 3; n += 1) await bus.append('dense', subject, block(n, 10 ** n));
  const state = stateOf(2);
  state.sequence = 2;
  state.producers.set('p', 2);
  const follower = await followDense({ bus, archive: null, state, logger: quiet(), onFailed: fail });
  await follower.caughtUp;
  expect(Array.from(state.weights)).toEqual([-1_000, 1_000]);
  await follower.close();
});

test('dense follower: goes on from the newest snapshot, and reads only what follows it', async () => {
  const { bus, archive } = await snapshotAt(2);
  for (const batch of [3, 4]) await bus.append('dense', subject, block(batch, batch));
  const read: number[] = [];
  const spied = Object.create(bus) as Bus;
  spied.headOf = (log, of) => bus.headOf(log, of);
  spied.kv = (bucket) => bus.kv(bucket);
  spied.read = (log, options) =>
    bus.read(log, {
      ...options,
      onMessage: (message) => {
        read.push(message.sequence);
        return options.onMessage(message);
      },
    });
  const state = stateOf(2);
  const follower = await followDense({ bus: spied, archive, state, logger: quiet(), onFailed: fail });
  await follower.caughtUp;
  expect([read, state.sequence]).toEqual([[3, 4], 4]);
  expect(denseHash(state)).toBe(denseHash(await foldOf(bus)));
  await follower.close();
});

test('dense follower: a trimmed log without a snapshot that reaches it is refused', async () => {
  const bus = createMemoryBus();
  for (const batch of [1, 2, 3]) await bus.append('dense', subject, block(batch, batch));
  await trimBehind(bus, { log: 'dense', subject }, 3, 0);
  const options = { bus, archive: null, state: stateOf(2), logger: quiet(), onFailed: fail };
  await expect(followDense(options)).rejects.toMatchObject({ code: 'MILL_HISTORY_GONE' });
});

test('dense follower: a snapshot beyond the end of the log is passed over', async () => {
  const { archive } = await snapshotAt(2);
  const bus = createMemoryBus();
  await bus.append('dense', subject, block(1, 9));
  const state = stateOf(2);
  const follower = await followDense({ bus, archive, state, logger: quiet(), onFailed: fail });
  await follower.caughtUp;
  expect(state.sequence).toBe(1);
  expect(denseHash(state)).toBe(denseHash(await foldOf(bus)));
  await follower.close();
});

/** The fold of a whole log, by hand. */
async function foldOf(bus: Bus): Promise<DenseState> {
  const state = stateOf(2);
  const onMessage = (message: { sequence: number; payload: Uint8Array }) =>
    void applyDense(state, message, 'accept');
  await (await bus.read('dense', { subject, from: 1, onMessage, onError: fail })).close();
  return state;
}

/** A log of so many blocks, and an archive with a snapshot of its end. */
async function snapshotAt(sequence: number): Promise<{ bus: MemoryBus; archive: Archive }> {
  const bus = createMemoryBus();
  for (let batch = 1; batch <= sequence; batch += 1) await bus.append('dense', subject, block(batch, batch));
  const archive = createArchive({
    stores: [{ name: 'shared', blobs: createMemoryBlobs() }],
    onDamaged: (_store, _path, error) => fail(error),
  });
  const fold = { model: 'ads', fingerprint: stateOf(2).fingerprint, fold: 'dense' } as const;
  const blocks = [...captureDense(await foldOf(bus))];
  await archive.write('shared', fold, { sequence, base: null }, blocks);
  return { bus, archive };
}

test.each([
  ['at once', []],
  ['behind a message that is refused', [Uint8Array.of(1, 2, 3)]],
])('dense follower: one that was away too long goes on from a snapshot (%s)', async (_, between) => {
  const bus = createMemoryBus();
  const archive = createArchive({
    stores: [{ name: 'shared', blobs: createMemoryBlobs() }],
    onDamaged: (_store, _path, error) => fail(error),
  });
  // Cut off while 2 and 3 came.
  const away: Bus = Object.assign(Object.create(bus) as Bus, {
    headOf: bus.headOf.bind(bus),
    kv: bus.kv.bind(bus),
    read: (log: 'dense', options: Parameters<Bus['read']>[1]) =>
      bus.read(log, {
        ...options,
        onMessage: (message) => ([2, 3].includes(message.sequence) ? undefined : options.onMessage(message)),
      }),
  });
  const state = stateOf(2);
  await followDense({ bus: away, archive, state, logger: quiet(), onFailed: fail });
  const whole = stateOf(2);
  for (const batch of [1, 2, 3]) {
    const sequence = await bus.append('dense', subject, block(batch, 10 ** batch));
    applyDense(whole, { sequence, payload: block(batch, 10 ** batch) }, 'report');
  }
  for (const payload of between) {
    const sequence = await bus.append('dense', subject, payload);
    applyDense(whole, { sequence, payload }, 'report');
  }
  const name = { sequence: whole.sequence, base: null };
  await archive.write('shared', { model: 'ads', fingerprint: 5, fold: 'dense' }, name, [
    ...captureDense(whole),
  ]);
  await trimBehind(bus, { log: 'dense', subject }, whole.sequence + 1, 0);
  const sequence = await bus.append('dense', subject, block(4, 1));
  applyDense(whole, { sequence, payload: block(4, 1) }, 'report');
  for (let i = 0; i < 20; i += 1) await new Promise((resolve) => setImmediate(resolve));
  expect([state.sequence, Array.from(state.weights)]).toEqual([whole.sequence, [-1_111, 1_111]]);
  expect(denseHash(state)).toBe(denseHash(whole));
});
