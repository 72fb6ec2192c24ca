import { expect, test } from 'vitest';
import { createDrainRate } from '../src/drain-rate.ts';

test('drain rate: nothing is known before some batches ended while others waited', () => {
  const rate = createDrainRate();
  expect(rate.msFor(100, 0)).toBe(0);
  for (const endMs of [50, 100, 150]) rate.note(1, endMs - 50, endMs, false);
  expect(rate.msFor(100, 150)).toBe(0);
  rate.note(100, 150, 160, true);
  expect(rate.msFor(100, 160)).toBe(0);
  rate.note(100, 160, 170, true);
  expect(rate.msFor(100, 170)).toBeCloseTo(10);
});

test('drain rate: lanes that overlap count the time between their ends', () => {
  const rate = createDrainRate();
  // All began at 0, but only 20 ms of the process went by from one end to the next.
  for (const endMs of [20, 40, 60]) rate.note(100, 0, endMs, true);
  expect(rate.msFor(50, 60)).toBeCloseTo(10);
});

test('drain rate: a batch during which the process did not run counts for its time alone', () => {
  const rate = createDrainRate();
  let nowMs = 0;
  const note = (tookMs: number, rows: number) => {
    nowMs += tookMs;
    rate.note(rows, nowMs - tookMs, nowMs, true);
  };
  for (let batch = 0; batch < 100; batch += 1) note(5, 1_000);
  expect(rate.msFor(1_000, nowMs)).toBeCloseTo(5);
  // By itself it would say 600 ms.
  note(60, 100);
  expect(rate.msFor(1_000, nowMs)).toBeGreaterThan(5);
  expect(rate.msFor(1_000, nowMs)).toBeLessThan(8);
  // What stays so is followed within some hundred milliseconds.
  for (let batch = 0; batch < 50; batch += 1) note(20, 1_000);
  expect(rate.msFor(1_000, nowMs)).toBeGreaterThan(19);
});

test('drain rate: is forgotten after a second', () => {
  const rate = createDrainRate();
  for (const endMs of [10, 20, 30]) rate.note(100, endMs - 10, endMs, true);
  expect(rate.msFor(100, 1_030)).toBeCloseTo(10);
  expect(rate.msFor(100, 1_031)).toBe(0);
  for (const endMs of [2_020, 2_040, 2_060]) rate.note(100, endMs - 20, endMs, true);
  expect(rate.msFor(100, 2_060)).toBeCloseTo(20);
});
