import { expect, test } from 'vitest';
import { normalCdf, normalDensity, normalQuantile } from '../../src/exploration/normal.ts';

test('normal: Φ at points of the tables', () => {
  const known: readonly (readonly [number, number])[] = [
    [0, 0.5],
    [-1, 0.15865525393145705],
    [1.96, 0.9750021048517795],
    [-3, 0.0013498980316300946],
    [-6, 9.865876450376981e-10],
    [-8, 6.220960574271786e-16],
  ];
  for (const [x, p] of known) expect(normalCdf(x) / p).toBeCloseTo(1, 7);
  expect([normalCdf(-40), normalCdf(40)]).toEqual([0, 1]);
});

test('normal: Φ is the integral of φ', () => {
  // Simpson's rule from −1 to 2.
  const steps = 300;
  let sum = 0;
  for (let i = 0; i <= steps; i += 1) {
    const weight = i === 0 || i === steps ? 1 : i % 2 === 1 ? 4 : 2;
    sum += weight * normalDensity(-1 + (3 * i) / steps);
  }
  expect(normalCdf(2) - normalCdf(-1)).toBeCloseTo((sum * 3) / steps / 3, 9);
});

test('normal: quantiles undo Φ', () => {
  expect(normalQuantile(0.975)).toBeCloseTo(1.959963984540054, 12);
  expect(normalQuantile(0.5)).toBeCloseTo(0, 12);
  for (const p of [1e-9, 0.01, 0.3, 0.9, 0.999999])
    expect(normalCdf(normalQuantile(p)) / p).toBeCloseTo(1, 9);
});
