import { expect, test } from 'vitest';
import { segmentOf } from './segment.ts';

test('adagrad: two steps, hand-computed', () => {
  const { w, s, step } = segmentOf({ type: 'adagrad', learningRate: 0.625, initialAccumulator: 9 }, [1, 1]);
  expect([...s]).toEqual([9, 9]);
  // acc = 9 + 4² = 25; w = 1 − 0.625 · 4 / 5 = 0.5. No gradient, no change.
  step([4, 0]);
  expect([[...w], [...s]]).toEqual([
    [0.5, 1],
    [25, 9],
  ]);
  // acc = 25 + 12² = 169; w = 0.5 + 0.625 · 12 / 13 = 1.076923. The other: acc = 9 + 4² = 25, w = 0.5.
  step([-12, 4]);
  expect([...s]).toEqual([169, 25]);
  expect(w[0]).toBeCloseTo(0.5 + (0.625 * 12) / 13, 6);
  expect(w[1]).toBe(0.5);
});

test('adagrad: starts at an accumulator of 0.1 unless told otherwise', () => {
  expect([...segmentOf({ type: 'adagrad', learningRate: 1 }, [0, 0]).s]).toEqual([
    Math.fround(0.1),
    Math.fround(0.1),
  ]);
});

test('adagrad: epsilon keeps a first gradient of 0 from dividing by 0', () => {
  const { w, step } = segmentOf({ type: 'adagrad', learningRate: 1, initialAccumulator: 0 }, [3]);
  step([0]);
  expect([...w]).toEqual([3]);
  // With epsilon 1: w = 3 − 1 · 2 / (2 + 1).
  const damped = segmentOf({ type: 'adagrad', learningRate: 1, initialAccumulator: 0, epsilon: 1 }, [3]);
  damped.step([2]);
  expect(damped.w[0]).toBeCloseTo(3 - 2 / 3, 6);
});
