import fc from 'fast-check';
import { expect, test } from 'vitest';
import { segmentOf } from './segment.ts';

test('ftrl: two steps, hand-computed', () => {
  const { w, s, step } = segmentOf({ type: 'ftrl', alpha: 0.5 }, [0]);
  expect([...s]).toEqual([0, 0]);
  // σ = (3 − 0) / 0.5 = 6; z = 3 − 6 · 0 = 3; n = 9; w = −3 / ((1 + 3) / 0.5) = −0.375.
  step([3]);
  expect([[...s], [...w]]).toEqual([[3, 9], [-0.375]]);
  // n = 25; σ = (5 − 3) / 0.5 = 4; z = 3 + 4 − 4 · (−0.375) = 8.5; w = −8.5 / ((1 + 5) / 0.5) = −8.5 / 12.
  step([4]);
  expect([...s]).toEqual([8.5, 25]);
  expect(w[0]).toBeCloseTo(-8.5 / 12, 6);
});

test('ftrl: l1 keeps weights of little evidence at 0, l2 pulls the others towards it', () => {
  const { w, s, step } = segmentOf({ type: 'ftrl', alpha: 0.5, l1: 1, l2: 2 }, [0, 0, 0]);
  // z = 3: w = −(3 − 1) / (8 + 2) = −0.2. z = −3: its mirror image. z = 1, not above l1: 0.
  step([3, -3, 1]);
  expect([...w]).toEqual([Math.fround(-0.2), Math.fround(0.2), 0]);
  // State: z of each weight, then n of each.
  expect([...s]).toEqual([3, -3, 1, 9, 9, 1]);
});

test('ftrl: beta shortens the first steps', () => {
  const { w, step } = segmentOf({ type: 'ftrl', alpha: 0.5, beta: 3 }, [0]);
  // z = 3; w = −3 / ((3 + 3) / 0.5) = −0.25.
  step([3]);
  expect([...w]).toEqual([-0.25]);
});

test('ftrl: starts at the initial weights, whatever they are (property)', () => {
  const positive = fc.double({ min: 0.01, max: 10, noNaN: true });
  const notNegative = fc.double({ min: 0, max: 5, noNaN: true });
  const anyWeight = fc.float({ min: -3, max: 3, noNaN: true });
  fc.assert(
    fc.property(
      fc.record({ alpha: positive, beta: positive, l1: notNegative, l2: notNegative }),
      fc.array(anyWeight, { minLength: 1, maxLength: 6 }),
      (options, weights) => {
        const { w, s, step } = segmentOf({ type: 'ftrl', ...options }, weights);
        expect([...w]).toEqual(weights);
        expect([...s.subarray(weights.length)]).toEqual(weights.map(() => 0));
        // A gradient of 0 moves z and n by nothing, so it shows the weights that the state stands for.
        step(weights.map(() => 0));
        weights.forEach((weight, d) => {
          // z holds weight · (β/α + l2) + l1 in 24 bits: beside a large l1 a small weight keeps as many bits less,
          // and below 1e-38 there are fewer than 24.
          const scale = options.beta / options.alpha + options.l2;
          const rounding = 2 ** -23 * (Math.abs(weight) + options.l1 / scale) + 1e-40;
          expect(Math.abs(w[d] - weight)).toBeLessThanOrEqual(rounding);
        });
      },
    ),
  );
});

test('ftrl: a weight that is 0 is plain 0, so that equal states have equal bytes', () => {
  const { w, s, step } = segmentOf({ type: 'ftrl', alpha: 0.1, l1: 1 }, [0, -0]);
  step([-0, 0]);
  expect([...w, ...s].map((value) => Object.is(value, 0))).toEqual(new Array(6).fill(true));
});
