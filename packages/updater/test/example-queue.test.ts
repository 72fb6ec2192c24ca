import type { Example } from '@millrace/joiner';
import { expect, test } from 'vitest';
import { createExampleQueue } from '../src/example-queue.ts';

function example(n: number): Example {
  return {
    place: [n, 1, 0],
    user: {},
    context: {},
    item: {},
    shown: 1,
    clicked: 0,
    offset: 0,
    weighting: 'none',
    isFirst: true,
    makesPositive: false,
    score: 0,
    origin: { sequence: n, watermarkMs: 0 },
  };
}

function queueOf(count: number, lengthMax: number) {
  const queue = createExampleQueue(lengthMax);
  for (let n = 1; n <= count; n += 1) queue.push(example(n));
  return queue;
}

const placesOf = (examples: readonly Example[]) => examples.map(({ place }) => place[0]);

test('example queue: the oldest come first, and stay until they are dropped', () => {
  const queue = queueOf(5, 10);
  expect(placesOf(queue.first(2))).toEqual([1, 2]);
  expect(placesOf(queue.first(2))).toEqual([1, 2]);
  queue.drop(2);
  expect(placesOf(queue.first(9))).toEqual([3, 4, 5]);
  expect(queue.length).toBe(3);
});

test('example queue: counts what stands at or before a place', () => {
  const queue = queueOf(5, 10);
  queue.drop(1);
  expect(queue.countThrough([3, 1, 0])).toBe(2);
  expect(queue.countThrough([3, 0, 9])).toBe(1);
  expect(queue.countThrough([9, 0, 0])).toBe(4);
});

test('example queue: keeps its order over many drops', () => {
  const queue = createExampleQueue(100_000);
  let next = 0;
  for (let n = 1; n <= 20_000; n += 1) {
    queue.push(example(n));
    if (n % 3 === 0) continue;
    next += 1;
    expect(queue.first(1)[0].place[0]).toBe(next);
    queue.drop(1);
  }
  expect(queue.length).toBe(20_000 - next);
});

test('example queue: who fills it waits until half of it is empty', async () => {
  const queue = queueOf(3, 4);
  expect(queue.room()).toBe(null);
  queue.push(example(4));
  let woken = false;
  const waiting = (queue.room() as Promise<void>).then(() => {
    woken = true;
  });
  queue.drop(2);
  await Promise.resolve();
  expect(woken).toBe(false);
  queue.drop(1);
  await waiting;
  expect(woken).toBe(true);
});

test('example queue: release ends the waiting', async () => {
  const queue = queueOf(4, 4);
  const waiting = queue.room();
  queue.release();
  await waiting;
  expect(queue.length).toBe(4);
});
