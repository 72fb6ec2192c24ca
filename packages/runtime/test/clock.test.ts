import { expect, test } from 'vitest';
import { createManualClock, systemClock } from '../src/clock.ts';

test('manual clock: stands still until it is moved', () => {
  const clock = createManualClock(1_000);
  expect([clock.now(), clock.monotonicMs()]).toEqual([1_000, 0]);
  clock.advanceBy(250);
  expect([clock.now(), clock.monotonicMs()]).toEqual([1_250, 250]);
});

test('manual clock: timers run in the order they fall due, each at its own time', () => {
  const clock = createManualClock(0);
  const fired: string[] = [];
  clock.setTimer(30, () => fired.push(`c at ${clock.now()}`));
  clock.setTimer(10, () => fired.push(`a at ${clock.now()}`));
  clock.setTimer(20, () => fired.push(`b at ${clock.now()}`));
  clock.setTimer(20, () => fired.push(`b2 at ${clock.now()}`));
  clock.setTimer(31, () => fired.push('late'));
  clock.advanceTo(30);
  expect(fired).toEqual(['a at 10', 'b at 20', 'b2 at 20', 'c at 30']);
  expect(clock.timersWaiting).toBe(1);
});

test('manual clock: a timer set by a timer runs too when it falls due on the way', () => {
  const clock = createManualClock(0);
  const firedAt: number[] = [];
  const tick = () => {
    firedAt.push(clock.now());
    clock.setTimer(10, tick);
  };
  clock.setTimer(10, tick);
  clock.advanceTo(35);
  expect(firedAt).toEqual([10, 20, 30]);
  expect(clock.now()).toBe(35);
});

test('manual clock: a cancelled timer does not run, also when another timer cancels it', () => {
  const clock = createManualClock(0);
  const fired: string[] = [];
  const second = clock.setTimer(20, () => fired.push('second'));
  clock.setTimer(10, () => second.cancel());
  clock.advanceTo(100);
  second.cancel();
  expect(fired).toEqual([]);
  expect(clock.timersWaiting).toBe(0);
});

test('manual clock: does not go back', () => {
  const clock = createManualClock(10);
  expect(() => clock.advanceTo(9)).toThrow(/does not go back/);
});

test('system clock: a timer fires once, a cancelled one never', async () => {
  const fired: string[] = [];
  systemClock.setTimer(1, () => fired.push('cancelled')).cancel();
  const before = systemClock.monotonicMs();
  await new Promise<void>((resolve) => {
    systemClock.setTimer(5, () => {
      fired.push('fired');
      resolve();
    });
  });
  expect(fired).toEqual(['fired']);
  expect(systemClock.monotonicMs() - before).toBeGreaterThanOrEqual(4);
});
