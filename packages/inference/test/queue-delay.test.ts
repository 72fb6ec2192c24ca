import { expect, test } from 'vitest';
import { createQueueDelay } from '../src/queue-delay.ts';

const open = () => createQueueDelay({ msMax: 50, msTarget: 5 });

test('queue delay: a queue that stands below the limit refuses nobody, and stays', () => {
  const delay = open();
  for (let nowMs = 0; nowMs < 1_000; nowMs += 10) delay.note(40, nowMs);
  expect([delay.limitMs, delay.kind]).toEqual([50, 'burst']);
});

test('queue delay: a burst that is refused in part is one for as long as it drains', () => {
  const delay = open();
  delay.note(80, 0);
  delay.noteRefusal(0);
  delay.note(60, 50);
  delay.noteRefusal(99);
  delay.note(4, 120);
  delay.note(60, 130);
  delay.noteRefusal(220);
  expect(delay.limitMs).toBe(50);
});

test('queue delay: a queue that stands and is refused from is held short, until nobody is refused any more', () => {
  const delay = open();
  for (let nowMs = 0; nowMs <= 100; nowMs += 10) delay.note(60, nowMs);
  delay.noteRefusal(100);
  expect([delay.limitMs, delay.kind]).toEqual([5, 'standing']);
  // As short as it is held, it stands as long as more come.
  for (let nowMs = 110; nowMs <= 500; nowMs += 10) {
    delay.note(2, nowMs);
    delay.noteRefusal(nowMs);
  }
  delay.note(2, 599);
  expect(delay.kind).toBe('standing');
  delay.note(2, 600);
  expect([delay.limitMs, delay.kind]).toEqual([50, 'burst']);
});
