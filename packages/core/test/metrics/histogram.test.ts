import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createHistogram } from '../../src/metrics/histogram.ts';

test('histogram: is not a number when empty', () => {
  const histogram = createHistogram();
  expect(histogram.quantile(0.5)).toBeNaN();
  expect(histogram.max).toBeNaN();
  expect(histogram.count).toBe(0);
});

test('histogram: quantiles of 1 … 1000 ms within 2 %', () => {
  const histogram = createHistogram();
  for (let ms = 1; ms <= 1_000; ms++) histogram.record(ms);
  for (const q of [0.01, 0.1, 0.5, 0.9, 0.99, 0.999]) {
    expect(Math.abs(histogram.quantile(q) / Math.ceil(q * 1_000) - 1)).toBeLessThanOrEqual(0.02);
  }
  expect(histogram.quantile(1)).toBe(1_000);
  expect(histogram.sum).toBe(500_500);
});

test('histogram: every quantile is within 2 % of the exact one (property)', () => {
  const values = fc.array(fc.double({ min: 0.002, max: 1e7, noNaN: true }), { minLength: 1, maxLength: 50 });
  fc.assert(
    fc.property(values, fc.double({ min: 0, max: 1, noNaN: true }), (recorded, q) => {
      const histogram = createHistogram();
      for (const value of recorded) histogram.record(value);
      const sorted = Float64Array.from(recorded).sort();
      const exact = sorted[Math.max(1, Math.ceil(q * sorted.length)) - 1];
      expect(Math.abs(histogram.quantile(q) / exact - 1)).toBeLessThanOrEqual(0.02);
    }),
  );
});

test('histogram: one value is reported exactly', () => {
  const histogram = createHistogram();
  histogram.record(1.03);
  expect(histogram.quantile(0)).toBe(1.03);
  expect(histogram.quantile(0.5)).toBe(1.03);
});

test('histogram: takes values beyond its range at its ends and negative ones as 0', () => {
  const histogram = createHistogram();
  histogram.record(-5);
  histogram.record(1e-9);
  histogram.record(1e12);
  histogram.record(Number.NaN);
  expect(histogram.count).toBe(3);
  expect(histogram.quantile(0.5)).toBeLessThan(0.002);
  expect(histogram.max).toBe(1e12);
  expect(histogram.quantile(1)).toBe(1e12);
});

test('histogram: merging equals recording all in one', () => {
  const [left, right, both] = [createHistogram(), createHistogram(), createHistogram()];
  for (let i = 1; i <= 500; i++) {
    (i % 3 === 0 ? left : right).record(i * i);
    both.record(i * i);
  }
  left.merge(right);
  left.merge(createHistogram());
  expect(left.count).toBe(500);
  expect(left.sum).toBe(both.sum);
  expect(left.max).toBe(250_000);
  for (const q of [0, 0.2, 0.5, 0.9, 1]) expect(left.quantile(q)).toBe(both.quantile(q));
});

test('histogram: reset forgets everything', () => {
  const histogram = createHistogram();
  histogram.record(100);
  histogram.reset();
  expect(histogram.count).toBe(0);
  expect(histogram.quantile(0.5)).toBeNaN();
  histogram.record(1);
  expect(histogram.quantile(1)).toBe(1);
});
