import { createMemoryBus } from '@millrace/runtime';
import { expect, test } from 'vitest';
import { isBehindTrim, trimBehind, trimmedBefore } from '../src/trim-log.ts';

const subject = 'mill.gradients.ads.0';
const target = { log: 'gradients', subject } as const;

async function logOf(messages: number) {
  const bus = createMemoryBus();
  for (let i = 0; i < messages; i += 1) await bus.append('gradients', subject, new Uint8Array([i]));
  return bus;
}

async function sequencesIn(bus: Awaited<ReturnType<typeof logOf>>): Promise<number[]> {
  const sequences: number[] = [];
  const onMessage = ({ sequence }: { sequence: number }) => void sequences.push(sequence);
  const reader = await bus.read('gradients', { subject, from: 1, onMessage, onError: () => undefined });
  await reader.close();
  return sequences;
}

test('trim log: forgets what lies below, and says so', async () => {
  const bus = await logOf(5);
  expect(await trimmedBefore(bus, subject)).toBe(0);
  await trimBehind(bus, target, 3, 1);
  expect(await trimmedBefore(bus, subject)).toBe(3);
  expect(await sequencesIn(bus)).toEqual([3, 4, 5]);
});

test('trim log: the mark never goes back', async () => {
  const bus = await logOf(5);
  await trimBehind(bus, target, 4, 1);
  await trimBehind(bus, target, 2, 2);
  expect(await trimmedBefore(bus, subject)).toBe(4);
});

test('trim log: the newest message stays, and so does the head', async () => {
  const bus = await logOf(3);
  await trimBehind(bus, target, 100, 1);
  expect(await sequencesIn(bus)).toEqual([3]);
  expect(await bus.headOf('gradients', subject)).toBe(3);
});

test('trim log: a fold that has applied all but what is left can go on', () => {
  expect(isBehindTrim(2, 3)).toBe(false);
  expect(isBehindTrim(1, 3)).toBe(true);
  expect(isBehindTrim(0, 0)).toBe(false);
});
