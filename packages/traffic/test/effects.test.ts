import { expect, test } from 'vitest';
import { crossEffects, mainEffects } from '../src/effects.ts';

const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
const deviation = (values: number[]) => Math.sqrt(mean(values.map((value) => value * value)));

test('effects: main effects have mean 0 and the stated deviation', () => {
  const effects = mainEffects(3, 100, 7, 0.4);
  expect(effects).toHaveLength(7);
  expect(mean(effects)).toBeCloseTo(0, 12);
  expect(deviation(effects)).toBeCloseTo(0.4, 12);
});

test('effects: cross effects have mean 0 in every row and column and the stated deviation', () => {
  const table = crossEffects(3, 100, { rows: 5, columns: 4 }, 0.6);
  for (let row = 0; row < 5; row++) expect(mean(table.slice(row * 4, row * 4 + 4))).toBeCloseTo(0, 12);
  for (let column = 0; column < 4; column++) {
    expect(mean(table.filter((_, cell) => cell % 4 === column))).toBeCloseTo(0, 12);
  }
  expect(deviation(table)).toBeCloseTo(0.6, 12);
});
