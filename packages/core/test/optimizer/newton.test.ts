import { expect, test } from 'vitest';
import { segmentOf } from './segment.ts';

test('newton: two steps, hand-computed', () => {
  const { w, s, step } = segmentOf({ type: 'newton' }, [1, 1]);
  expect([...s]).toEqual([0, 0]);
  // H = 3; w = 1 − 2 / (1 + 3) = 0.5. Without curvature, λ alone: 1 − 2 / 1 = −1.
  step([2, 2], [3, 0]);
  expect([[...w], [...s]]).toEqual([
    [0.5, -1],
    [3, 0],
  ]);
  // H = 3 + 4 = 7; w = 0.5 − 2 / 8 = 0.25.
  step([2, 0], [4, 1]);
  expect([[...w], [...s]]).toEqual([
    [0.25, -1],
    [7, 1],
  ]);
});

test('newton: lambda and the share c of the curvature divide the step', () => {
  const { w, optimizer, step } = segmentOf({ type: 'newton', lambda: 2, c: 0.5 }, [1]);
  expect(optimizer.needsCurvature).toBe(true);
  // 1 − 4 / (2 + 0.5 · 12) = 0.5.
  step([4], [12]);
  expect([...w]).toEqual([0.5]);
});
