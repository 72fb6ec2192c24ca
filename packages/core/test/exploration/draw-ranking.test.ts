import type { ExplorationSpec } from '@millrace/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  drawOne,
  drawRanking,
  explorationFrom,
  fillProbabilities,
  uniformsOf,
} from '../../src/exploration/index.ts';

const policies: readonly ExplorationSpec[] = [
  { type: 'epsilon-greedy' },
  { type: 'epsilon-greedy', epsilon: 1 },
  { type: 'softmax' },
  { type: 'softmax', temperature: 2 },
  { type: 'thompson' },
  { type: 'greedy' },
];

function candidatesOf(logits: readonly number[], variances: readonly number[] = logits.map(() => 0.5)) {
  return {
    logits: Float64Array.from(logits),
    variances: Float64Array.from(variances),
    count: logits.length,
  };
}

function probabilitiesOf(spec: ExplorationSpec, logits: readonly number[]): number[] {
  const out = new Float64Array(logits.length);
  fillProbabilities(explorationFrom(spec), candidatesOf(logits), out);
  return [...out];
}

test('exploration: epsilon-greedy by hand: a share for all, the rest for the best; equal bests share', () => {
  const spec = { type: 'epsilon-greedy', epsilon: 0.2 } as const;
  expect(probabilitiesOf(spec, [1, 3, 2, 0])).toEqual([0.05, 0.05 + 0.8, 0.05, 0.05]);
  expect(probabilitiesOf(spec, [3, 1, 3, 0])).toEqual([0.45, 0.05, 0.45, 0.05]);
});

test('exploration: softmax by hand, and no overflow', () => {
  const [a, b] = probabilitiesOf({ type: 'softmax', temperature: 0.5 }, [1, 0]);
  expect(a).toBeCloseTo(Math.E ** 2 / (Math.E ** 2 + 1), 12);
  expect(b).toBeCloseTo(1 / (Math.E ** 2 + 1), 12);
  expect(probabilitiesOf({ type: 'softmax', temperature: 1e-3 }, [900, -900])).toEqual([1, 0]);
});

test('exploration: greedy: the first of the best', () => {
  expect(probabilitiesOf({ type: 'greedy' }, [1, 2, 2])).toEqual([0, 1, 0]);
});

test('exploration: probabilities sum to 1 and are positive where all may come', () => {
  const logits = fc.array(fc.double({ min: -15, max: 15, noNaN: true }), { minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(logits, fc.constantFrom(...policies), (values, spec) => {
      const found = probabilitiesOf(spec, values);
      expect(found.reduce((sum, p) => sum + p, 0)).toBeCloseTo(1, 9);
      expect(Math.min(...found)).toBeGreaterThanOrEqual(0);
      if (spec.type === 'epsilon-greedy') expect(Math.min(...found)).toBeGreaterThan(0);
    }),
  );
});

test('exploration: drawOne: cuts [0, 1) in proportion, and never takes the impossible', () => {
  const probabilities = Float64Array.from([0, 0.25, 0, 0.75, 0]);
  const drawn = [0, 0.249, 0.25, 0.999, 0.9999999999].map((u) => drawOne(probabilities, 5, u));
  expect(drawn).toEqual([1, 1, 3, 3, 3]);
  // What rounding leaves over.
  expect(drawOne(Float64Array.from([0.5, 0.4999]), 2, 0.99999)).toBe(1);
});

test('ranking: every item once, each propensity that of its place given those before', () => {
  const logits = [0.3, -1, 2, 0.3, 1];
  for (const spec of policies) {
    const exploration = explorationFrom(spec);
    for (let run = 0; run < 50; run += 1) {
      const { indices, propensities } = drawRanking(
        exploration,
        candidatesOf(logits),
        5,
        uniformsOf(1, `r${run}`),
      );
      expect([...indices].sort()).toEqual([0, 1, 2, 3, 4]);
      const left = [0, 1, 2, 3, 4];
      for (const [place, index] of indices.entries()) {
        const found = probabilitiesOf(
          spec,
          left.map((i) => logits[i]),
        );
        expect(propensities[place]).toBe(Math.fround(found[left.indexOf(index)]));
        expect(propensities[place]).toBeGreaterThan(0);
        left.splice(left.indexOf(index), 1);
      }
      expect(propensities[4]).toBe(1);
    }
  }
});

test('ranking: as often as its propensities say, at the first place and at the second', () => {
  const logits = [0, 0.4, -0.2, 0.1];
  const variances = [0.5, 0.1, 1, 0.2];
  const candidates = candidatesOf(logits, variances);
  const rest = candidatesOf(logits.slice(1), variances.slice(1));
  for (const spec of policies) {
    const exploration = explorationFrom(spec);
    const [first, second] = [new Float64Array(4), new Float64Array(3)];
    for (let run = 0; run < 4_000; run += 1) {
      const { indices } = drawRanking(exploration, candidates, 2, uniformsOf(7, `request-${run}`));
      first[indices[0]] += 1;
      if (indices[0] === 0) second[indices[1] - 1] += 1;
    }
    for (const [counts, from] of [
      [first, candidates],
      [second, rest],
    ] as const) {
      const expected = new Float64Array(from.count);
      fillProbabilities(exploration, from, expected);
      const runs = counts.reduce((sum, n) => sum + n, 0);
      for (const [i, n] of counts.entries()) {
        const error = Math.sqrt(expected[i] * (1 - expected[i]) * runs);
        expect(Math.abs(n - runs * expected[i])).toBeLessThanOrEqual(5 * error);
      }
    }
  }
});

test('ranking: a request draws the same again, another id another order', () => {
  const exploration = explorationFrom({ type: 'epsilon-greedy', epsilon: 1 });
  const candidates = candidatesOf(new Array(30).fill(0));
  const orderOf = (seed: number, id: string) =>
    [...drawRanking(exploration, candidates, 30, uniformsOf(seed, id)).indices].join();
  expect(orderOf(1, 'a')).toBe(orderOf(1, 'a'));
  expect(new Set([orderOf(1, 'a'), orderOf(1, 'b'), orderOf(2, 'a')]).size).toBe(3);
});

test('ranking: uniforms of neighbouring ids and places are even and unrelated', () => {
  const buckets = new Float64Array(16);
  let products = 0;
  const ids = 8_000;
  for (let id = 0; id < ids; id += 1) {
    const uniform = uniformsOf(7, `${id}`);
    const [a, b] = [uniform(0), uniform(1)];
    buckets[Math.floor(4 * a) * 4 + Math.floor(4 * b)] += 1;
    products += (a - 0.5) * (b - 0.5);
  }
  // χ² of 15 degrees of freedom is below 45 but once in 10,000 times.
  const expected = ids / 16;
  expect(buckets.reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0)).toBeLessThan(45);
  expect(Math.abs(products / ids)).toBeLessThan(5 / 12 / Math.sqrt(ids));
});
