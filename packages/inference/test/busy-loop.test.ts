import type { EventLoopUtilization } from 'node:perf_hooks';
import { expect, test } from 'vitest';
import { createBusyLoop } from '../src/busy-loop.ts';

/** A thread whose loop has worked and waited for so long, ms, since it began. */
function thread() {
  const at = { worked: 0, waited: 0 };
  const utilization = (now?: EventLoopUtilization, last?: EventLoopUtilization): EventLoopUtilization => {
    const { active, idle } = now ?? { active: at.worked, idle: at.waited };
    const [worked, waited] = [active - (last?.active ?? 0), idle - (last?.idle ?? 0)];
    return { active: worked, idle: waited, utilization: worked / Math.max(1, worked + waited) };
  };
  return { at, utilization, clock: { monotonicMs: () => at.worked + at.waited } };
}

test('busy loop: what counts is the share of the last while, looked at twenty times a second', () => {
  const { at, utilization, clock } = thread();
  const isBusy = createBusyLoop(0.5, clock, utilization);
  expect(isBusy()).toBe(false);
  at.worked += 40;
  expect(isBusy()).toBe(false);
  at.waited += 20;
  expect(isBusy()).toBe(true);
  at.waited += 49;
  expect(isBusy()).toBe(true);
  at.waited += 1;
  expect(isBusy()).toBe(false);
  // Half of its time begins it, a third ends it.
  at.worked += 49;
  at.waited += 51;
  expect(isBusy()).toBe(false);
  at.worked += 50;
  at.waited += 50;
  expect(isBusy()).toBe(true);
  at.worked += 34;
  at.waited += 66;
  expect(isBusy()).toBe(true);
  at.worked += 33;
  at.waited += 67;
  expect(isBusy()).toBe(false);
});

test('busy loop: from 0 on it always is, beyond 1 it never is', () => {
  const { at, utilization, clock } = thread();
  const [always, never] = [createBusyLoop(0, clock, utilization), createBusyLoop(1.1, clock, utilization)];
  at.waited += 60;
  expect([always(), never()]).toEqual([true, false]);
  at.worked += 60;
  expect([always(), never()]).toEqual([true, false]);
});
