import { expect, test } from 'vitest';
import { logloss, sigmoid } from '../src/logloss.ts';

test('logloss: equals the textbook formula at moderate logits', () => {
  // σ(0) = 1/2; σ(ln 3) = 3/4, so −ln σ = ln(4/3) and −ln(1 − σ) = ln 4.
  expect(logloss(0, 1)).toBeCloseTo(Math.log(2), 15);
  expect(logloss(Math.log(3), 1)).toBeCloseTo(Math.log(4 / 3), 15);
  expect(logloss(Math.log(3), 0)).toBeCloseTo(Math.log(4), 15);
  expect(logloss(Math.log(3), 0.5)).toBeCloseTo((Math.log(4 / 3) + Math.log(4)) / 2, 15);
});

test('logloss: is exact where the probability rounds to 0 or 1', () => {
  expect(logloss(1000, 0)).toBe(1000);
  expect(logloss(-1000, 1)).toBe(1000);
  expect(logloss(1000, 1)).toBe(0);
  // ln(1 + e^−40) ≈ e^−40, which 1 + e^−40 alone would have lost.
  expect(logloss(40, 1)).toBeCloseTo(Math.exp(-40), 30);
});

test('sigmoid: is exact at 0, symmetric, and never leaves [0, 1]', () => {
  expect(sigmoid(0)).toBe(0.5);
  expect(sigmoid(Math.log(3))).toBeCloseTo(0.75, 15);
  expect(sigmoid(-2) + sigmoid(2)).toBeCloseTo(1, 15);
  expect([sigmoid(-1000), sigmoid(1000)]).toEqual([0, 1]);
});
