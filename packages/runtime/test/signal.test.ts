import { expect, test } from 'vitest';
import { Signal } from '../src/signal.ts';

test('signal: raised before the wait, it is not missed, and counts once', async () => {
  const signal = new Signal();
  signal.raise();
  signal.raise();
  await signal.wait(Number.POSITIVE_INFINITY);
  const steps: string[] = [];
  const second = signal.wait(Number.POSITIVE_INFINITY).then(() => steps.push('woken'));
  steps.push('raised');
  signal.raise();
  await second;
  expect(steps).toEqual(['raised', 'woken']);
});

test('signal: a wait ends with its time', async () => {
  const signal = new Signal();
  await signal.wait(5);
  signal.raise();
  await signal.wait(Number.POSITIVE_INFINITY);
  expect(signal).toBeInstanceOf(Signal);
});
