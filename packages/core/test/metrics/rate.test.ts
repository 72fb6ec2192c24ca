import { expect, test } from 'vitest';
import { createRate } from '../../src/metrics/rate.ts';

test('rate: is 0 before any event', () => {
  expect(createRate().perSecond(12_345)).toBe(0);
});

test('rate: counts an even stream right once the window is full', () => {
  const rate = createRate({ windowMs: 2_000 });
  for (let ms = 0; ms < 10_000; ms += 10) rate.add(3, ms);
  expect(rate.perSecond(9_999)).toBeCloseTo(300, -1);
});

test('rate: divides by the time since the first event while that is short', () => {
  const rate = createRate({ windowMs: 2_000 });
  rate.add(0, 50);
  rate.add(40, 550);
  // 40 events in 0.5 s.
  expect(rate.perSecond(550)).toBe(80);
});

test('rate: counts at least one slot of time, so that first events are no burst', () => {
  const rate = createRate({ windowMs: 2_000 });
  rate.add(10, 1_000);
  // One slot is 100 ms.
  expect(rate.perSecond(1_000)).toBe(100);
});

test('rate: forgets events that left the window', () => {
  const rate = createRate({ windowMs: 2_000 });
  rate.add(100, 0);
  rate.add(20, 1_900);
  // At 2,050 the window reaches back to 100: the first slot is gone.
  expect(rate.perSecond(2_050)).toBeCloseTo(20 / 1.95, 10);
  expect(rate.perSecond(60_000)).toBe(0);
});
