import { expect, test } from 'vitest';
import { loglossFromScores, loglossOf, normalizedEntropyFromScores } from '../../src/metrics/logloss.ts';

test('logloss: is the mean of −ln of the probability given to what happened', () => {
  const loss = loglossFromScores(new Float64Array([0.5, 0.25]), new Uint8Array([1, 0]), 2);
  // (ln 2 + ln 4/3) / 2
  expect(loss).toBeCloseTo(0.4904146265, 10);
});

test('logloss: holds certain and wrong scores at ln 1e15', () => {
  expect(loglossOf(0, 1)).toBeCloseTo(34.538776, 6);
  expect(loglossOf(1, 0)).toBeCloseTo(34.538776, 2);
  expect(loglossOf(1, 1)).toBeCloseTo(0, 12);
  expect(loglossOf(0, 0)).toBeCloseTo(0, 12);
});

test('logloss: is not a number without examples or with a score that is none', () => {
  expect(loglossFromScores(new Float64Array(0), new Uint8Array(0), 0)).toBeNaN();
  expect(loglossFromScores(new Float64Array([Number.NaN]), new Uint8Array([1]), 1)).toBeNaN();
});

test('logloss: normalised entropy of the mean label is 1', () => {
  const labels = new Uint8Array([1, 0, 0, 0]);
  expect(normalizedEntropyFromScores(new Float64Array(4).fill(0.25), labels, 4)).toBeCloseTo(1, 12);
});

test('logloss: normalised entropy below 1 is better than the mean, and absent for one class', () => {
  // ln 2 a positive, ln 4/3 a negative, over ln 2 for the mean 0.5.
  const better = normalizedEntropyFromScores(new Float32Array([0.5, 0.25]), new Uint8Array([1, 0]), 2);
  expect(better).toBeCloseTo(0.4904146265 / Math.LN2, 9);
  expect(normalizedEntropyFromScores(new Float64Array([0.5]), new Uint8Array([1]), 1)).toBeNaN();
});
