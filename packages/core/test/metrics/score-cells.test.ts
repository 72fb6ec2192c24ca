import { expect, test } from 'vitest';
import { fmix } from '../../src/key-hash.ts';
import {
  addCells,
  addScore,
  aucFromScores,
  calibrationRatioFromScores,
  clearCells,
  createScoreCells,
  curveOf,
  loglossFromScores,
  normalizedEntropyFromScores,
  reportOf,
} from '../../src/metrics/index.ts';

/** Scores that know something of their labels, from a hash. */
function stream(count: number) {
  const scores = new Float64Array(count);
  const labels = new Uint8Array(count);
  for (let i = 0; i < count; i += 1) {
    const u = fmix(2 * i + 1) / 2 ** 32;
    scores[i] = 0.001 + 0.6 * u * u * u;
    labels[i] = fmix(2 * i + 2) / 2 ** 32 < scores[i] ? 1 : 0;
  }
  return { scores, labels };
}

test('score cells: loss, entropy and calibration are exact, AUC is within 0.001', () => {
  const { scores, labels } = stream(20_000);
  const cells = createScoreCells();
  scores.forEach((score, i) => void addScore(cells, score, 1, labels[i]));
  const report = reportOf(cells);
  expect(report.count).toBe(20_000);
  expect(report.positives).toBe(labels.reduce((sum, label) => sum + label, 0));
  expect(report.logloss).toBeCloseTo(loglossFromScores(scores, labels, 20_000), 10);
  expect(report.normalizedEntropy).toBeCloseTo(normalizedEntropyFromScores(scores, labels, 20_000), 10);
  expect(report.calibration).toBeCloseTo(calibrationRatioFromScores(scores, labels, 20_000), 10);
  expect(Math.abs(report.auc - aucFromScores(scores, labels, 20_000))).toBeLessThan(0.001);
});

test('score cells: a click that comes later gives what it would have given at once', () => {
  const once = createScoreCells();
  addScore(once, 0.25, 1, 1);
  addScore(once, 0.5, 1, 0);
  const apart = createScoreCells();
  addScore(apart, 0.25, 1, 0);
  addScore(apart, 0.5, 1, 0);
  addScore(apart, 0.25, 0, 1);
  expect(reportOf(apart)).toEqual(reportOf(once));
  // By hand: (−ln 0.25 − ln 0.5) / 2, and the one positive below the one negative.
  expect(reportOf(once).logloss).toBeCloseTo((Math.log(4) + Math.log(2)) / 2, 12);
  expect(reportOf(once).auc).toBe(0);
});

test('score cells: two stretches add up to both, and one is taken out again', () => {
  const { scores, labels } = stream(400);
  const [first, second, both] = [createScoreCells(), createScoreCells(), createScoreCells()];
  scores.forEach((score, i) => {
    addScore(i < 150 ? first : second, score, 1, labels[i]);
    addScore(both, score, 1, labels[i]);
  });
  const sum = createScoreCells();
  addCells(sum, first, 1);
  addCells(sum, second, 1);
  expect(reportOf(sum).logloss).toBeCloseTo(reportOf(both).logloss, 12);
  expect(reportOf(sum).auc).toBeCloseTo(reportOf(both).auc, 12);
  addCells(sum, first, -1);
  expect(reportOf(sum).count).toBe(250);
  expect(reportOf(sum).logloss).toBeCloseTo(reportOf(second).logloss, 12);
  clearCells(sum);
  expect(reportOf(sum)).toEqual(reportOf(createScoreCells()));
});

test('score cells: the curve is a line for scores that mean what they say, in about ten points', () => {
  const { scores, labels } = stream(50_000);
  const cells = createScoreCells();
  scores.forEach((score, i) => void addScore(cells, score, 1, labels[i]));
  const curve = curveOf(cells);
  expect(curve.length).toBeGreaterThanOrEqual(8);
  expect(curve.length).toBeLessThanOrEqual(10);
  expect(curve.reduce((sum, { count }) => sum + count, 0)).toBe(50_000);
  for (const { predicted, observed } of curve) expect(Math.abs(predicted - observed)).toBeLessThan(0.02);
});

test('score cells: nothing, one class, and certain scores give no infinity', () => {
  expect(reportOf(createScoreCells())).toMatchObject({ count: 0, auc: Number.NaN, logloss: Number.NaN });
  expect(curveOf(createScoreCells())).toEqual([]);
  const cells = createScoreCells();
  addScore(cells, 1, 1, 0);
  addScore(cells, 0, 1, 0);
  const { auc, calibration, logloss } = reportOf(cells);
  expect([auc, calibration]).toEqual([Number.NaN, Number.NaN]);
  expect(logloss).toBeCloseTo(34.5 / 2, 0);
});
