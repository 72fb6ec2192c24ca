import { expect, test } from 'vitest';
import { createProgressiveQuality } from '../../src/metrics/progressive-quality.ts';

test('progressive-quality: reports all observations by default', () => {
  const quality = createProgressiveQuality();
  quality.add(0.75, 1, 0.5);
  quality.add(0.25, 0, 0.5);
  const report = quality.report();
  expect(report).toMatchObject({ count: 2, dropped: 0, auc: 1, calibration: 1, oracleAuc: 0.5 });
  expect(report.logloss).toBeCloseTo(-Math.log(0.75), 12);
  expect(report.oracleLogloss).toBeCloseTo(Math.LN2, 12);
  expect(report.normalizedEntropy).toBeCloseTo(-Math.log(0.75) / Math.LN2, 12);
});

test('progressive-quality: reports the last third, and what came since a mark', () => {
  const quality = createProgressiveQuality();
  for (let i = 0; i < 6; i++) quality.add(i % 2 === 0 ? 0.9 : 0.1, i % 2 === 0 ? 0 : 1);
  const mark = quality.count;
  for (let i = 0; i < 3; i++) quality.add(i === 0 ? 0.9 : 0.1, i === 0 ? 1 : 0);
  expect(quality.report({ from: (quality.count * 2) / 3 })).toMatchObject({ count: 3, auc: 1 });
  expect(quality.report({ from: mark })).toMatchObject({ count: 3, auc: 1 });
  expect(quality.report({ to: mark })).toMatchObject({ count: 6, auc: 0 });
});

test('progressive-quality: has no oracle figures when one observation lacks them', () => {
  const quality = createProgressiveQuality();
  quality.add(0.75, 1, 0.5);
  quality.add(0.25, 0);
  expect(quality.report()).not.toHaveProperty('oracleAuc');
  expect(quality.report({ to: 1 })).toHaveProperty('oracleLogloss');
});

test('progressive-quality: drops the oldest beyond its window and says so', () => {
  const quality = createProgressiveQuality({ windowCount: 4 });
  for (let i = 0; i < 4; i++) quality.add(0.1, 1);
  for (let i = 0; i < 3; i++) quality.add(i / 10, 0);
  expect(quality.count).toBe(7);
  expect(quality.keptFrom).toBe(3);
  // Kept: score 0.1 with label 1, then 0, 0.1, 0.2 with label 0: one win, one tie, one loss.
  expect(quality.report()).toMatchObject({ count: 4, dropped: 0, auc: 0.5 });
  expect(quality.report({ from: 1 })).toMatchObject({ count: 4, dropped: 2 });
  expect(quality.report({ from: 0, to: 2 })).toMatchObject({ count: 0, dropped: 2 });
});

test('progressive-quality: keeps order and values while it grows to an uneven window', () => {
  const quality = createProgressiveQuality({ windowCount: 5_000 });
  const labelAt = (i: number) => (i % 3 === 0 ? 1 : 0);
  for (let i = 0; i < 12_345; i++) quality.add(i / 12_345, labelAt(i));
  const report = quality.report({ from: 12_345 - 4 });
  // Scores ascend; positions 12341 … 12344 have labels 0, 1, 0, 0: the positive beats one of three.
  expect(report.auc).toBeCloseTo(1 / 3, 12);
  expect(report.calibration).toBeCloseTo((12_341 + 12_342 + 12_343 + 12_344) / 12_345, 10);
  expect(quality.report().count).toBe(5_000);
});

test('progressive-quality: reports nothing as not a number', () => {
  const report = createProgressiveQuality().report();
  expect(report.count).toBe(0);
  expect(report.auc).toBeNaN();
  expect(report.logloss).toBeNaN();
  expect(report).not.toHaveProperty('oracleAuc');
});
