import { expect, test } from 'vitest';
import { segmentOf } from './segment.ts';

test('adam: two steps, hand-computed', () => {
  const { w, s, step } = segmentOf({ type: 'adam', learningRate: 0.5, beta1: 0.5, beta2: 0.75 }, [1]);
  // State: m, v, β1^t, β2^t.
  expect([...s]).toEqual([0, 0, 1, 1]);
  // m = 0.5 · 2 = 1; v = 0.25 · 4 = 1; corrected 1 / 0.5 = 2 and 1 / 0.25 = 4; w = 1 − 0.5 · 2 / 2 = 0.5.
  step([2]);
  expect([...s]).toEqual([1, 1, 0.5, 0.75]);
  expect(w[0]).toBeCloseTo(0.5, 6);
  // m = 0.5 · 1 − 0.5 · 2 = −0.5; v = 0.75 + 0.25 · 4 = 1.75; corrected −0.5 / 0.75 and 1.75 / 0.4375 = 4;
  // w = 0.5 + 0.5 · (2/3) / 2 = 2/3.
  step([-2]);
  expect([...s]).toEqual([-0.5, 1.75, 0.25, 0.5625]);
  expect(w[0]).toBeCloseTo(2 / 3, 6);
});

test('adam: the first step of any size is the learning rate long', () => {
  for (const g of [1e-3, 1, 1e3]) {
    const { w, step } = segmentOf({ type: 'adam', learningRate: 0.25 }, [0, 0]);
    step([g, -g]);
    // β2^1 is kept as a float32, so 1 − β2^1 is off by 1.3e-5 of itself, and its root by half of that.
    expect(Math.abs(w[0] + 0.25)).toBeLessThan(1e-5);
    expect(w[1]).toBe(-w[0]);
  }
});
