import { createDenseState, type DenseState } from '@millrace/core';
import { denseSubject, encodeDenseBlock, modelNameFrom } from '@millrace/protocol';
import { type Bus, createLogger, createMemoryBus, type MemoryBus } from '@millrace/runtime';
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
  const follower = await followDense({ bus, state, logger: quiet(), onFailed: fail });
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
  const follower = await followDense({ bus, state: stateOf(2), logger: quiet(), onFailed: fail });
  expect(await hasCaughtUp(follower.caughtUp)).toBe(true);
  await follower.close();
});

test('dense follower: a net without dense weights follows nothing', async () => {
  const bus: Bus = Object.create(null);
  const follower = await followDense({ bus, state: stateOf(0), logger: quiet(), onFailed: fail });
  expect(await hasCaughtUp(follower.caughtUp)).toBe(true);
  await follower.close();
});

/** A bus that hands messages on when the test says so. */
function held(bus: MemoryBus): { bus: Bus; next(): void } {
  const waiting: (() => void)[] = [];
  const bent: Bus = Object.create(bus);
  bent.headOf = (log, of) => bus.headOf(log, of);
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
  const follower = await followDense({ bus: slow.bus, state, logger: quiet(lines), onFailed: fail });
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
  const follower = await followDense({ bus, state, logger: quiet(), onFailed: fail });
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
  const follower = await followDense({ bus, state, logger: quiet(), onFailed: fail });
  await follower.caughtUp;
  expect(Array.from(state.weights)).toEqual([-1_000, 1_000]);
  await follower.close();
});
