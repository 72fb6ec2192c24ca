import { gradientsSubject, modelNameFrom } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { systemClock } from '../src/clock.ts';
import { createMemoryBus } from '../src/memory-bus.ts';
import { busConformance } from './bus-conformance.ts';

const subject = gradientsSubject(modelNameFrom('ads'), 0);

busConformance('memory bus', async () => ({ bus: createMemoryBus(), end: async () => undefined }));
busConformance('memory bus with a clock', async () => ({
  bus: createMemoryBus({ clock: systemClock }),
  end: async () => undefined,
}));

test('memory bus: messages keep their times while those before them are dropped', async () => {
  let nowMs = 0;
  const bus = createMemoryBus({ retain: { events: false }, clock: { now: () => nowMs } });
  const times: (number | null)[] = [];
  await bus.read('events', {
    subject: 'mill.events.a',
    from: 1,
    onMessage: ({ timeMs }) => void times.push(timeMs),
    onError: (error) => {
      throw error;
    },
  });
  for (nowMs = 1; nowMs <= 3_000; nowMs += 1) await bus.append('events', 'mill.events.a', Uint8Array.of(1));
  expect(times).toEqual(Array.from({ length: 3_000 }, (_, i) => i + 1));
});

test('memory bus: append: a synchronous handler has run when append returns', () => {
  const bus = createMemoryBus();
  const seen: number[] = [];
  void bus.read('gradients', {
    subject,
    from: 1,
    onMessage: (message) => void seen.push(message.payload[0]!),
    onError: fail,
  });
  void bus.append('gradients', subject, Uint8Array.of(5));
  void bus.append('gradients', subject, Uint8Array.of(6));
  expect(seen).toEqual([5, 6]);
});

test('memory bus: append: of two readers, both get the first message before either gets what it led to', async () => {
  const bus = createMemoryBus();
  const first: number[] = [];
  const second: number[] = [];
  await bus.read('gradients', {
    subject,
    from: 1,
    onMessage: (message) => {
      first.push(message.payload[0]!);
      if (message.payload[0] === 1) void bus.append('gradients', subject, Uint8Array.of(2));
    },
    onError: fail,
  });
  await bus.read('gradients', {
    subject,
    from: 1,
    onMessage: (message) => void second.push(message.payload[0]!),
    onError: fail,
  });
  await bus.append('gradients', subject, Uint8Array.of(1));
  expect(first).toEqual([1, 2]);
  expect(second).toEqual([1, 2]);
});

test('memory bus: settle: waits for asynchronous handlers and for what they append', async () => {
  const bus = createMemoryBus();
  const seen: number[] = [];
  await bus.read('gradients', {
    subject,
    from: 1,
    onMessage: async (message) => {
      await Promise.resolve();
      const value = message.payload[0]!;
      if (value < 4) await bus.append('gradients', subject, Uint8Array.of(value + 1));
      seen.push(value);
    },
    onError: fail,
  });
  await bus.append('gradients', subject, Uint8Array.of(1));
  expect(seen).toEqual([]);
  await bus.settle();
  expect(seen).toEqual([1, 2, 3, 4]);
});

test('memory bus: retain: drops what every reader has taken, and refuses to read it again', async () => {
  const bus = createMemoryBus({ retain: { gradients: false } });
  const seen: number[] = [];
  await bus.append('gradients', subject, Uint8Array.of(1));
  expect((await bus.logState('gradients')).messages).toBe(1);
  const reader = await bus.read('gradients', {
    subject,
    from: 1,
    onMessage: (message) => void seen.push(message.payload[0]!),
    onError: fail,
  });
  await bus.append('gradients', subject, Uint8Array.of(2, 2));
  expect(seen).toEqual([1, 2]);
  expect(await bus.logState('gradients')).toEqual({
    firstSequence: 3,
    lastSequence: 2,
    messages: 0,
    bytes: 0,
  });
  expect(await bus.headOf('gradients', subject)).toBe(2);
  await reader.close();
  const again = { subject, onMessage: () => undefined, onError: fail };
  await expect(bus.read('gradients', { ...again, from: 2 })).rejects.toMatchObject({
    code: 'MILL_LOG_UNAVAILABLE',
  });
  await bus.read('gradients', { ...again, from: 3 });
});

test('memory bus: retain: keeps what a slower reader has still to take', async () => {
  const bus = createMemoryBus({ retain: { gradients: false } });
  let release: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const slow: number[] = [];
  await bus.read('gradients', { subject, from: 1, onMessage: () => undefined, onError: fail });
  await bus.read('gradients', {
    subject,
    from: 1,
    onMessage: async (message) => {
      await gate;
      slow.push(message.payload[0]!);
    },
    onError: fail,
  });
  for (let value = 1; value <= 5; value += 1) await bus.append('gradients', subject, Uint8Array.of(value));
  expect((await bus.logState('gradients')).messages).toBe(4);
  release();
  await bus.settle();
  expect(slow).toEqual([1, 2, 3, 4, 5]);
  expect((await bus.logState('gradients')).messages).toBe(0);
});

test('memory bus: retain: a long log stays small, and its readers keep their place', async () => {
  const bus = createMemoryBus({ retain: { gradients: false } });
  let sum = 0;
  let pendingMax = 0;
  let gate = Promise.resolve();
  await bus.read('gradients', {
    subject,
    from: 1,
    onMessage: async (message) => {
      await gate;
      pendingMax = Math.max(pendingMax, message.pending);
      sum += message.payload[0]!;
    },
    onError: fail,
  });
  for (let round = 0; round < 3; round += 1) {
    let release: () => void = () => undefined;
    gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    for (let count = 0; count < 3_000; count += 1) void bus.append('gradients', subject, Uint8Array.of(1));
    release();
    await bus.settle();
  }
  expect(sum).toBe(9_000);
  expect(pendingMax).toBe(2_999 - 1);
  expect((await bus.logState('gradients')).bytes).toBe(0);
});

function fail(error: Error): never {
  throw error;
}

test('memory bus: trim: thousands of messages go, and reading goes on from any place', async () => {
  const bus = createMemoryBus();
  for (let i = 1; i <= 3_000; i += 1) await bus.append('gradients', subject, Uint8Array.of(1));
  for (const before of [500, 1_500, 1_501, 2_990]) await bus.trim('gradients', subject, before);
  expect(await bus.logState('gradients')).toMatchObject({ firstSequence: 2_990, messages: 11, bytes: 11 });
  for (const [from, wanted] of [
    [1, 11],
    [2_990, 11],
    [2_995, 6],
    [3_001, 0],
  ]) {
    const seen: number[] = [];
    const onMessage = ({ sequence }: { sequence: number }) => void seen.push(sequence);
    const reader = await bus.read('gradients', { subject, from, onMessage, onError: fail });
    expect([seen.length, seen[0] ?? from]).toEqual([wanted, Math.max(from, 2_990)]);
    await reader.close();
  }
});
