import { createManualClock } from '@millrace/runtime';
import { expect, test } from 'vitest';
import { createUnreadWait, ownEventLoop } from '../src/unread-wait.ts';

/** A loop whose turns end when told, on a clock that is moved. */
function open() {
  const clock = createManualClock(0);
  let restedMs = 0;
  let ends: (() => void)[] = [];
  const unreadMs = createUnreadWait(clock, {
    restedMs: () => restedMs,
    afterReads: (then) => void ends.push(then),
  });
  return {
    unreadMs,
    work: (ms: number) => clock.advanceBy(ms),
    rest(ms: number) {
      clock.advanceBy(ms);
      restedMs += ms;
    },
    endTurn() {
      const ended = ends;
      ends = [];
      for (const end of ended) end();
      return ended.length;
    },
  };
}

test('unread wait: what a loop that rested finds has just come, and those behind it lie while it is read', () => {
  const { unreadMs, work, rest } = open();
  rest(100);
  expect(unreadMs()).toBe(0);
  work(3);
  expect(unreadMs()).toBe(3);
  work(4);
  expect([unreadMs(), unreadMs()]).toEqual([7, 7]);
});

test('unread wait: what is found after a turn without rest has come during it, half of it ago in the mean', () => {
  const { unreadMs, work, rest, endTurn } = open();
  rest(10);
  expect(unreadMs()).toBe(0);
  work(30);
  // The turn is watched once, however many are found in it.
  expect([unreadMs(), endTurn()]).toEqual([30, 1]);
  work(10);
  expect(unreadMs()).toBe(20);
  work(6);
  expect([unreadMs(), endTurn()]).toEqual([26, 1]);
  work(2);
  expect(unreadMs()).toBe(4);
});

test('unread wait: a turn in which nothing is found is part of the time before the next', () => {
  const { unreadMs, work, rest, endTurn } = open();
  rest(10);
  unreadMs();
  endTurn();
  work(40);
  endTurn();
  work(10);
  expect(unreadMs()).toBe(25);
});

test('unread wait: to ask the system is no rest, to wait for something is', () => {
  const { unreadMs, work, rest, endTurn } = open();
  unreadMs();
  endTurn();
  work(20);
  rest(0.05);
  expect(unreadMs()).toBeCloseTo(10.025);
  endTurn();
  work(20);
  rest(0.2);
  expect(unreadMs()).toBe(0);
});

test('unread wait: this thread: its loop rests while nothing is there, and comes round', async () => {
  const before = ownEventLoop.restedMs();
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(ownEventLoop.restedMs()).toBeGreaterThan(before);
  await new Promise<void>((resolve) => ownEventLoop.afterReads(resolve));
});
