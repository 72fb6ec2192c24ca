import { expect, test } from 'vitest';
import { createMoments, momentCountMax } from '../../src/optimizer/moments.ts';

/** Count, mean and M2 of some values by their definition, in float64. */
function momentsOf(values: readonly number[]): [number, number, number] {
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  return [values.length, mean, values.reduce((sum, x) => sum + (x - mean) ** 2, 0)];
}

function stepped(state: Float32Array, ...batches: (readonly number[])[]): Float32Array {
  const optimizer = createMoments();
  for (const g of batches) {
    const gradient = Float32Array.from(g);
    const row = { w: state, wAt: 0, s: new Float32Array(0), sAt: 0, dim: state.length };
    optimizer.step(row, { g: gradient, h: gradient, at: 0 });
  }
  return state;
}

test('moments: two batches, by hand', () => {
  // {1, 3} has mean 2 and M2 2; {5, 7, 9} mean 7 and M2 8. Together: mean 5, M2 2 + 8 + 25 · 2 · 3 / 5 = 40.
  expect([...stepped(new Float32Array(3), [2, 2, 2])]).toEqual([2, 2, 2]);
  expect([...stepped(new Float32Array(3), [2, 2, 2], [3, 7, 8])]).toEqual([5, 5, 40]);
});

test('moments: batches of any sizes come to the moments of all values (float64 reference)', () => {
  const values = Array.from({ length: 1_000 }, (_, i) => 50 + 30 * Math.sin(i * i));
  const batches: number[][] = [];
  for (let from = 0, size = 1; from < values.length; from += size, size = (size % 37) + 1) {
    batches.push(momentsOf(values.slice(from, from + size)));
  }
  const [count, mean, squares] = stepped(new Float32Array(3), ...batches);
  const wanted = momentsOf(values);
  expect(count).toBe(1_000);
  expect(Math.abs(mean / wanted[1] - 1)).toBeLessThan(1e-5);
  expect(Math.abs(squares / wanted[2] - 1)).toBeLessThan(1e-5);
});

test('moments: each field has its own three floats; a batch without its values leaves it alone', () => {
  const state = stepped(new Float32Array(6), [2, 2, 2, 0, 0, 0], [0, 0, 0, 1, 4, 0]);
  expect([...state]).toEqual([2, 2, 2, 1, 4, 0]);
});

test('moments: the count stops, and so they go on moving', () => {
  const state = stepped(Float32Array.of(momentCountMax, 0, momentCountMax), [momentCountMax, 1, 0]);
  // As many values again, all 1: mean ½, M2 (n + n · n / 2n) of 2n values, cut to n: ¾ n.
  expect([...state]).toEqual([momentCountMax, 0.5, 0.75 * momentCountMax]);
  const moved = stepped(state, [1_000, 100, 0]);
  expect(moved[0]).toBe(momentCountMax);
  expect(moved[1]).toBeCloseTo(0.5 + (99.5 * 1_000) / (momentCountMax + 1_000), 6);
});

test('moments: what no batch can have, a count or sum of squares below 0, changes nothing', () => {
  expect([...stepped(Float32Array.of(2, 2, 2), [-1, 5, 1], [1, 5, -1])]).toEqual([2, 2, 2]);
});
