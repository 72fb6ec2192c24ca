import fc from 'fast-check';
import { expect, test } from 'vitest';
import { answeredScore, answeredScores } from '../src/answered-score.ts';

test('answered score: a float32 comes back to the bit, and has twelve decimals at most', () => {
  fc.assert(
    fc.property(fc.float({ min: 0, max: 1, noNaN: true }), (score) => {
      const answered = answeredScore(score);
      expect(Object.is(Math.fround(answered), score)).toBe(true);
      if (score >= 2 ** -15) expect(Number(score.toFixed(12))).toBe(answered);
      expect(answeredScore(answered)).toBe(answered);
    }),
  );
});

test('answered score: what is no score stays as it is', () => {
  const scores = [0, 2 ** -20, Number.NaN, 1];
  expect(scores.map(answeredScore)).toEqual(scores);
  expect(answeredScores(Float32Array.from(scores))).toEqual(scores);
});
