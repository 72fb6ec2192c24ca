import fc from 'fast-check';
import { expect, test } from 'vitest';
import { segmentOf } from './segment.ts';

test('row-wise adagrad: two steps, hand-computed', () => {
  const { w, s, step } = segmentOf(
    { type: 'rowwise-adagrad', learningRate: 0.5, initialAccumulator: 11 },
    [1, 1],
  );
  expect([...s]).toEqual([11]);
  // acc = 11 + (1² + 7²) / 2 = 36; rate = 0.5 / 6; w = 1 − 1/12, 1 − 7/12.
  step([1, 7]);
  expect([...s]).toEqual([36]);
  expect(w[0]).toBeCloseTo(11 / 12, 6);
  expect(w[1]).toBeCloseTo(5 / 12, 6);
  // acc = 36 + (8² + 0) / 2 = 68; rate = 0.5 / √68; w = 11/12 + 8 · rate.
  step([-8, 0]);
  expect([...s]).toEqual([68]);
  expect(w[0]).toBeCloseTo(11 / 12 + 4 / Math.sqrt(68), 6);
  expect(w[1]).toBeCloseTo(5 / 12, 6);
});

test('row-wise adagrad: equals adagrad where all |g| of a row are equal (property)', () => {
  const anyStep = fc.record({
    size: fc.float({ min: Math.fround(0.01), max: 4, noNaN: true }),
    signs: fc.array(fc.constantFrom(-1, 1), { minLength: 4, maxLength: 4 }),
  });
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 20 }), (steps) => {
      const weights = [0.5, -0.25, 1, 0];
      const options = { learningRate: 0.125, initialAccumulator: 0.5, epsilon: 1e-10 };
      const rowwise = segmentOf({ type: 'rowwise-adagrad', ...options }, weights);
      const elementwise = segmentOf({ type: 'adagrad', ...options }, weights);
      for (const { size, signs } of steps) {
        const g = signs.map((sign) => sign * size);
        rowwise.step(g);
        elementwise.step(g);
      }
      // Four times g² divided by four is g² to the bit, and the order of × and ÷ moves the last of 24 bits a step.
      for (let d = 0; d < 4; d += 1) {
        expect(rowwise.s[0]).toBe(elementwise.s[d]);
        expect(Math.abs(rowwise.w[d] - elementwise.w[d])).toBeLessThanOrEqual(1e-6);
      }
    }),
  );
});
