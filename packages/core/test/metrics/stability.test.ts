import { expect, test } from 'vitest';
import { populationStability } from '../../src/metrics/stability.ts';

const counts = (...values: number[]) => Float64Array.from(values);

test('stability: equal shares give 0, whatever their number', () => {
  expect(populationStability(counts(100, 300), counts(100, 300))).toBe(0);
  expect(populationStability(counts(1_000, 3_000), counts(100, 300))).toBeLessThan(0.001);
});

test('stability: by hand, and the same both ways', () => {
  // Shares with half an observation up: 0.25 and 0.75 against 0.75 and 0.25.
  const index = populationStability(counts(9.5, 29.5), counts(29.5, 9.5));
  expect(index).toBeCloseTo(2 * 0.5 * Math.log(3), 12);
  expect(populationStability(counts(29.5, 9.5), counts(9.5, 29.5))).toBeCloseTo(index, 12);
});

test('stability: a cell that empties does not make it infinite', () => {
  const index = populationStability(counts(500, 500), counts(1_000, 0));
  expect(index).toBeGreaterThan(1);
  expect(index).toBeLessThan(10);
});
