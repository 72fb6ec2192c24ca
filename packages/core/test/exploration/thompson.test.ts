import { expect, test } from 'vitest';
import { normalCdf, normalDensity } from '../../src/exploration/normal.ts';
import { thompsonProbabilities } from '../../src/exploration/thompson.ts';
import { uniformsOf } from '../../src/exploration/uniforms.ts';

function probabilitiesOf(means: readonly number[], deviations: readonly number[], scale = 1): Float64Array {
  const out = new Float64Array(means.length);
  const variances = Float64Array.from(deviations, (s) => s * s);
  thompsonProbabilities(Float64Array.from(means), variances, { count: means.length, scale }, out);
  return out;
}

/** The plain twin: the trapezoid rule on a fine grid over everything. */
function plainly(means: readonly number[], deviations: readonly number[], points = 5_000): number[] {
  const low = Math.min(...means.map((m, i) => m - 9 * deviations[i]));
  const high = Math.max(...means.map((m, i) => m + 9 * deviations[i]));
  const step = (high - low) / points;
  const sums = means.map(() => 0);
  for (let n = 0; n <= points; n += 1) {
    const x = low + n * step;
    const cdfs = means.map((m, i) => normalCdf((x - m) / deviations[i]));
    for (let i = 0; i < means.length; i += 1) {
      let product = normalDensity((x - means[i]) / deviations[i]) / deviations[i];
      for (let j = 0; j < means.length; j += 1) if (j !== i) product *= cdfs[j];
      sums[i] += product * step;
    }
  }
  return sums;
}

function largestGap(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i])));
}

test('thompson: two items: Φ((m1 − m2) / sqrt(s1² + s2²))', () => {
  const cases = [
    [0, 0, 1, 1],
    [1, 0, 1, 1],
    [0.3, 0.1, 0.02, 0.5],
    [-2, 1, 3, 0.01],
    [5, -5, 1, 1],
    [0.001, 0, 0.01, 2],
  ] as const;
  for (const [m1, m2, s1, s2] of cases) {
    const closed = normalCdf((m1 - m2) / Math.hypot(s1, s2));
    expect(largestGap(probabilitiesOf([m1, m2], [s1, s2]), [closed, 1 - closed])).toBeLessThan(1e-6);
  }
});

test('thompson: equals have equal chances, however many there are', () => {
  for (const count of [1, 2, 3, 34, 2_000]) {
    const out = probabilitiesOf(new Array(count).fill(-3), new Array(count).fill(0.7));
    expect(largestGap(out, new Array(count).fill(1 / count))).toBeLessThan(1e-9);
  }
});

test('thompson: many items of all means and widths: as a fine grid says', () => {
  const uniform = uniformsOf(1, 'thompson');
  for (const [count, widest] of [
    [3, 1],
    [10, 30],
    [40, 4],
    [120, 1],
  ] as const) {
    const means = Array.from({ length: count }, (_, i) => 2 * uniform(2 * i) - 1);
    const deviations = Array.from({ length: count }, (_, i) => 0.05 * widest ** uniform(2 * i + 1));
    expect(largestGap(probabilitiesOf(means, deviations), plainly(means, deviations))).toBeLessThan(1e-6);
  }
});

test('thompson: as often as the greatest of sampled normals', () => {
  const means = [0.2, 0, -0.5, 0.1];
  const deviations = [0.1, 0.6, 1.2, 0.3];
  const expected = probabilitiesOf(means, deviations);
  const uniform = uniformsOf(2, 'samples');
  const wins = means.map(() => 0);
  const samples = 200_000;
  for (let n = 0; n < samples; n += 1) {
    const draws = means.map((mean, i) => {
      const radius = Math.sqrt(-2 * Math.log(1 - uniform(8 * n + 2 * i)));
      return mean + deviations[i] * radius * Math.cos(2 * Math.PI * uniform(8 * n + 2 * i + 1));
    });
    wins[draws.indexOf(Math.max(...draws))] += 1;
  }
  // Five standard errors of a share: sqrt(0.25 / 200,000) = 0.0011.
  expect(
    largestGap(
      expected,
      wins.map((won) => won / samples),
    ),
  ).toBeLessThan(0.0056);
});

test('thompson: scale 0: the best alone, equals share', () => {
  expect([...probabilitiesOf([1, 2, 0], [1, 1, 1], 0)]).toEqual([0, 1, 0]);
  expect(largestGap(probabilitiesOf([1, 1, 0], [9, 1, 1], 0), [0.5, 0.5, 0])).toBeLessThan(1e-9);
});

test('thompson: an item without a chance costs nothing and gets 0; all sum to 1', () => {
  const out = probabilitiesOf([0, -50, 0.1], [0.3, 0.2, 5]);
  expect(out[1]).toBe(0);
  expect(out[0] + out[2]).toBeCloseTo(1, 12);
});
