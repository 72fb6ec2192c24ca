/** Tables of random effects with exact size: mean 0 along each dimension and a stated standard deviation. */
import { normalAt } from './counter-random.ts';

/**
 * Effects of one feature's values: normal draws, centred and scaled to the deviation, so that no seed is easier than another.
 * @returns float[count].
 */
export function mainEffects(seed: number, stream: number, count: number, deviation: number): number[] {
  const draws = Array.from({ length: count }, (_, i) => normalAt(seed, stream, i));
  return scaled(centred(draws), deviation);
}

/**
 * Effects of two features' values together, row-major [rows, columns]: every row and every column has mean 0, so that nothing
 * of them can be told from one feature alone.
 */
export function crossEffects(
  seed: number,
  stream: number,
  shape: { readonly rows: number; readonly columns: number },
  deviation: number,
): number[] {
  const { rows, columns } = shape;
  const table: number[] = [];
  for (let row = 0; row < rows; row++) {
    table.push(
      ...centred(Array.from({ length: columns }, (_, i) => normalAt(seed, stream, row * columns + i))),
    );
  }
  for (let column = 0; column < columns; column++) {
    let sum = 0;
    for (let row = 0; row < rows; row++) sum += table[row * columns + column];
    for (let row = 0; row < rows; row++) table[row * columns + column] -= sum / rows;
  }
  return scaled(table, deviation);
}

function centred(values: readonly number[]): number[] {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return values.map((value) => value - mean);
}

function scaled(values: readonly number[], deviation: number): number[] {
  const squares = values.reduce((sum, value) => sum + value * value, 0);
  const factor = deviation / Math.sqrt(squares / values.length);
  return values.map((value) => value * factor);
}
