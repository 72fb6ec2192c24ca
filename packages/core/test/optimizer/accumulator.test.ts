import { expect, test } from 'vitest';
import { createAccumulator } from '../../src/optimizer/accumulator.ts';

test('accumulator: adds up what it is given, and keeps nothing beside', () => {
  const optimizer = createAccumulator();
  const w = Float32Array.of(9, 1, 2, 9);
  const row = { w, wAt: 1, s: new Float32Array(0), sAt: 0, dim: 2 };
  for (const at of [0, 1]) optimizer.step(row, { g: Float32Array.of(0.5, 4, -1), h: w, at });
  // 1 + 0.5 + 4; 2 + 4 − 1.
  expect([...w]).toEqual([9, 5.5, 5, 9]);
  expect([optimizer.stateFloats(7), optimizer.needsCurvature]).toEqual([0, false]);
});
