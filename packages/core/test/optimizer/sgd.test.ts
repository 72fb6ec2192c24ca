import { expect, test } from 'vitest';
import { segmentOf } from './segment.ts';

test('sgd: one step, hand-computed', () => {
  const { w, s, step } = segmentOf({ type: 'sgd', learningRate: 0.5 }, [1, -2]);
  // 1 − 0.5 · 0.25 = 0.875; −2 − 0.5 · (−4) = 0.
  step([0.25, -4]);
  expect([...w]).toEqual([0.875, 0]);
  expect(s.length).toBe(0);
});
