import { expect, test } from 'vitest';
import { createDrainRate } from '../src/drain-rate.ts';

test('drain rate: nothing is known before a batch ended while others waited', () => {
  const rate = createDrainRate();
  expect(rate.msFor(100, 0)).toBe(0);
  rate.note(1, 0, 50, false);
  expect(rate.msFor(100, 50)).toBe(0);
});

test('drain rate: lanes that overlap count the time between their ends', () => {
  const rate = createDrainRate();
  rate.note(100, 0, 20, true);
  expect(rate.msFor(50, 20)).toBeCloseTo(10);
  // Began at 0 too, but only 20 ms of the process went by since the other one ended.
  rate.note(100, 0, 40, true);
  expect(rate.msFor(50, 40)).toBeCloseTo(10);
});

test('drain rate: follows slowly, and is forgotten after a second', () => {
  const rate = createDrainRate();
  rate.note(100, 0, 10, true);
  rate.note(100, 10, 60, true);
  expect(rate.msFor(100, 60)).toBeCloseTo(10 + 0.2 * 40);
  expect(rate.msFor(100, 1_060)).toBeGreaterThan(0);
  expect(rate.msFor(100, 1_061)).toBe(0);
  rate.note(100, 2_000, 2_010, true);
  expect(rate.msFor(100, 2_010)).toBeCloseTo(10);
});
