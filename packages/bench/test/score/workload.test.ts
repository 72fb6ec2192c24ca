import { expect, test } from 'vitest';
import { makeScoreRequests, valuesOf } from '../../src/score/workload.ts';

const size = { rows: 1_000, items: 100, seed: 3 };

test('bench: score: values are drawn by Zipf’s law from those of their field', () => {
  const counts = new Array<number>(valuesOf(size.rows)).fill(0);
  for (const items of makeScoreRequests(size, 50))
    for (const values of items) for (const value of values) counts[value] += 1;
  const draws = 50 * 100 * 10;
  expect(counts.reduce((sum, count) => sum + count)).toBe(draws);
  // Σ 1 / r^0.99 over 100 ranks is 5.283.
  expect(counts[0] / draws).toBeCloseTo(1 / 5.283, 1);
  expect(counts[0] / counts[9]).toBeGreaterThan(7);
  expect(counts[0] / counts[9]).toBeLessThan(14);
});

test('bench: score: a seed gives the same requests in every process', () => {
  expect(makeScoreRequests(size, 2)).toEqual(makeScoreRequests(size, 2));
  expect(makeScoreRequests({ ...size, seed: 4 }, 2)).not.toEqual(makeScoreRequests(size, 2));
});
