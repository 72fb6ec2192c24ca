import { expect, test } from 'vitest';
import { createQueueDelay } from '../src/queue-delay.ts';

const open = () => createQueueDelay({ msMax: 50, msTarget: 5 });

test('queue delay: a queue that stands below the limit refuses nobody, and stays', () => {
  const delay = open();
  for (let nowMs = 0; nowMs < 100; nowMs += 10) delay.note(40, nowMs);
  expect([delay.stands(99), delay.stands(100)]).toEqual([false, true]);
  for (let nowMs = 100; nowMs < 1_000; nowMs += 10) delay.note(40, nowMs);
  expect([delay.limitMs, delay.isHeldShort]).toEqual([50, false]);
  delay.note(5, 1_000);
  expect(delay.stands(1_100)).toBe(false);
});

test('queue delay: a burst that is refused in part is one for as long as it drains', () => {
  const delay = open();
  delay.note(80, 0);
  expect(delay.refuse(0)).toBe(100);
  delay.note(60, 50);
  expect(delay.refuse(99)).toBe(100);
  delay.note(4, 120);
  delay.note(60, 130);
  expect(delay.refuse(220)).toBe(100);
  expect(delay.limitMs).toBe(50);
});

test('queue delay: a queue that stands and is refused from is held short, until nobody is refused any more', () => {
  const delay = open();
  for (let nowMs = 0; nowMs <= 100; nowMs += 10) delay.note(60, nowMs);
  expect([delay.refuse(100), delay.limitMs, delay.isHeldShort]).toEqual([100, 5, true]);
  // As short as it is held, it stands as long as more come.
  const told = new Set<number>();
  for (let nowMs = 110; nowMs <= 2_000; nowMs += 10) {
    delay.note(2, nowMs);
    told.add(delay.refuse(nowMs));
  }
  // It is taken to last as long again as it has.
  expect([...told]).toEqual([100, 250, 500, 1_000]);
  delay.note(2, 2_099);
  expect([delay.limitMs, delay.stands(2_099)]).toEqual([5, true]);
  delay.note(2, 2_100);
  expect([delay.limitMs, delay.refuse(2_100)]).toEqual([50, 100]);
});
