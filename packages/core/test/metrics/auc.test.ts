import fc from 'fast-check';
import { expect, test } from 'vitest';
import { aucFromScores } from '../../src/metrics/auc.ts';

/** Every pair of a positive and a negative, one by one. */
function aucByPairs(scores: ArrayLike<number>, labels: Uint8Array, count: number): number {
  let wins = 0;
  let pairs = 0;
  for (let i = 0; i < count; i++) {
    for (let j = 0; j < count; j++) {
      if (labels[i] !== 1 || labels[j] !== 0) continue;
      pairs++;
      if (scores[i] > scores[j]) wins += 1;
      else if (scores[i] === scores[j]) wins += 0.5;
    }
  }
  return pairs === 0 ? Number.NaN : wins / pairs;
}

test('auc: counts won pairs, hand-computed', () => {
  // Pairs: 0.9 beats 0.8 and 0.2; 0.4 loses to 0.8, beats 0.2: 3 of 4.
  expect(aucFromScores(new Float64Array([0.9, 0.8, 0.4, 0.2]), new Uint8Array([1, 0, 1, 0]), 4)).toBe(0.75);
});

test('auc: counts equal scores one half', () => {
  expect(aucFromScores(new Float64Array([0.5, 0.5, 0.5]), new Uint8Array([1, 0, 0]), 3)).toBe(0.5);
  // One tie and one win of two pairs.
  expect(aucFromScores(new Float32Array([0.5, 0.5, 0.1]), new Uint8Array([1, 0, 0]), 3)).toBe(0.75);
});

test('auc: takes zero and negative zero as equal', () => {
  expect(aucFromScores(new Float64Array([0, -0]), new Uint8Array([1, 0]), 2)).toBe(0.5);
  expect(aucFromScores(new Float64Array([-0, 0]), new Uint8Array([1, 0]), 2)).toBe(0.5);
});

test('auc: is not a number when a class is absent or a score is not a number', () => {
  expect(aucFromScores(new Float64Array([0.1, 0.2]), new Uint8Array([1, 1]), 2)).toBeNaN();
  expect(aucFromScores(new Float64Array([0.1, 0.2]), new Uint8Array([0, 0]), 2)).toBeNaN();
  expect(aucFromScores(new Float64Array(0), new Uint8Array(0), 0)).toBeNaN();
  expect(aucFromScores(new Float64Array([Number.NaN, 0.2]), new Uint8Array([1, 0]), 2)).toBeNaN();
});

test('auc: reads only the leading count', () => {
  expect(aucFromScores(new Float64Array([0.9, 0.1, 0.0]), new Uint8Array([1, 0, 1]), 2)).toBe(1);
});

test('auc: equals the count of all pairs (property, with many ties)', () => {
  const observation = fc.record({
    score: fc.integer({ min: 0, max: 12 }),
    label: fc.integer({ min: 0, max: 1 }),
  });
  fc.assert(
    fc.property(fc.array(observation, { maxLength: 60 }), (observations) => {
      const scores = Float64Array.from(observations, (o) => o.score / 12);
      const labels = Uint8Array.from(observations, (o) => o.label);
      const count = observations.length;
      expect(aucFromScores(scores, labels, count)).toBe(aucByPairs(scores, labels, count));
    }),
  );
});
