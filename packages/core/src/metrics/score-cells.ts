/**
 * Judged scores in a fixed number of cells, so that quality over any stretch costs no memory of its own: cells of two
 * stretches add up to the cells of both, and an outcome that comes later is added to what its impression added before.
 *
 *   cell          −12 ·············· logit ·············· 12      512 cells of 3/64, the outer ones take what lies beyond
 *   weights       Σ shown, Σ clicked, Σ shown · p               a cell each
 *   loss          Σ shown · ln(1 + e^z) − clicked · z           exact
 *
 * Loss and calibration are exact. AUC takes scores of one cell as equal: logits that differ by less than 0.047, which moves
 * it by less than 0.001 on real streams (test/metrics/score-cells.test.ts).
 */

import type { CurvePoint } from '@millrace/protocol';

const logitMax = 12;
const cellCount = 512;
const cellsALogit = cellCount / (2 * logitMax);

export interface ScoreCells {
  /** float64[512]: summed weight of examples scored so. */
  readonly shown: Float64Array;
  /** float64[512]: summed weight of positives among them. */
  readonly clicked: Float64Array;
  /** float64[512]: summed weight · probability. */
  readonly predicted: Float64Array;
  /** Summed loss, nats. */
  lossSum: number;
}

export interface CellReport {
  /** Summed weight of examples, and of positives. */
  readonly count: number;
  readonly positives: number;
  /** NaN when one class is absent. */
  readonly auc: number;
  /** Mean, nats; NaN when there is nothing. */
  readonly logloss: number;
  /** logloss over that of always answering the mean label; NaN when one class is absent. */
  readonly normalizedEntropy: number;
  /** Σ predicted / Σ clicked; NaN when there is no positive. */
  readonly calibration: number;
}

export function createScoreCells(): ScoreCells {
  return {
    shown: new Float64Array(cellCount),
    clicked: new Float64Array(cellCount),
    predicted: new Float64Array(cellCount),
    lossSum: 0,
  };
}

/**
 * Adds one example, or one part of it.
 * @param probability 0 … 1, as it was returned.
 * @param shown    its weight as an impression; 0 for a click that comes later.
 * @param clicked  its weight as a positive.
 */
export function addScore(cells: ScoreCells, probability: number, shown: number, clicked: number): void {
  const logit = logitOf(probability);
  const cell = cellOf(logit);
  cells.shown[cell] += shown;
  cells.clicked[cell] += clicked;
  cells.predicted[cell] += shown * probability;
  cells.lossSum += shown * (Math.max(logit, 0) + Math.log1p(Math.exp(-Math.abs(logit)))) - clicked * logit;
}

/** Adds `sign` times all of `other`: 1 to join two stretches, −1 to take one out again. */
export function addCells(cells: ScoreCells, other: ScoreCells, sign: 1 | -1): void {
  for (let i = 0; i < cellCount; i += 1) {
    cells.shown[i] += sign * other.shown[i];
    cells.clicked[i] += sign * other.clicked[i];
    cells.predicted[i] += sign * other.predicted[i];
  }
  cells.lossSum += sign * other.lossSum;
}

export function clearCells(cells: ScoreCells): void {
  cells.shown.fill(0);
  cells.clicked.fill(0);
  cells.predicted.fill(0);
  cells.lossSum = 0;
}

/** Judges all that is in the cells. */
export function reportOf({ shown, clicked, predicted, lossSum }: ScoreCells): CellReport {
  let count = 0;
  let positives = 0;
  let expected = 0;
  let below = 0;
  let wins = 0;
  for (let i = 0; i < cellCount; i += 1) {
    const negatives = shown[i] - clicked[i];
    wins += clicked[i] * (below + negatives / 2);
    below += negatives;
    count += shown[i];
    positives += clicked[i];
    expected += predicted[i];
  }
  const hasBoth = positives > 0 && below > 0;
  const rate = positives / count;
  const entropy = -(rate * Math.log(rate) + (1 - rate) * Math.log(1 - rate));
  return {
    count,
    positives,
    auc: hasBoth ? wins / (positives * below) : Number.NaN,
    logloss: count > 0 ? lossSum / count : Number.NaN,
    normalizedEntropy: hasBoth ? lossSum / count / entropy : Number.NaN,
    calibration: positives > 0 ? expected / positives : Number.NaN,
  };
}

/** Up to ten points of about equally many examples, ascending by score. */
export function curveOf({ shown, clicked, predicted }: ScoreCells): CurvePoint[] {
  const total = shown.reduce((sum, weight) => sum + weight, 0);
  const points: CurvePoint[] = [];
  let count = 0;
  let expected = 0;
  let observed = 0;
  for (let i = 0; i < cellCount; i += 1) {
    count += shown[i];
    expected += predicted[i];
    observed += clicked[i];
    if (count <= 0 || (count < total / 10 && i < cellCount - 1)) continue;
    points.push({ count, predicted: expected / count, observed: observed / count });
    count = 0;
    expected = 0;
    observed = 0;
  }
  return points;
}

function logitOf(probability: number): number {
  const p = Math.min(Math.max(probability, 1e-15), 1 - 1e-15);
  return Math.log(p) - Math.log1p(-p);
}

function cellOf(logit: number): number {
  const cell = Math.floor((logit + logitMax) * cellsALogit);
  return Math.min(cellCount - 1, Math.max(0, cell));
}
