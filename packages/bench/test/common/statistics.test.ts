import { expect, test } from 'vitest';
import { median, quantile, rounded } from '../../src/common/statistics.ts';

test('statistics: the median is the middle, or the mean of the two in the middle', () => {
  expect([median([3, 1, 2]), median([4, 1, 3, 2]), median([7])]).toEqual([2, 2.5, 7]);
});

test('statistics: a quantile is a sample that the share does not exceed', () => {
  const samples = Array.from({ length: 100 }, (_, i) => 100 - i);
  expect([0, 0.5, 0.99, 1].map((share) => quantile(samples, share))).toEqual([1, 50, 99, 100]);
  expect(quantile([], 0.5)).toBeNaN();
});

test('statistics: rounded keeps significant digits', () => {
  expect([rounded(1_234_567), rounded(0.0123456, 2)]).toEqual([1_235_000, 0.012]);
});
