import { describe, expect, test } from 'vitest';
import { uniformsOf } from '../../src/exploration/index.ts';
import {
  groupedRatio,
  normalInterval,
  sequentialInterval,
  sequentialPValue,
  tunedPriorVariance,
} from '../../src/index.ts';

const alpha = 0.05;
const groups = 512;
const looks = 60;
const firstLook = 6;
const impressionsALook = 400;

interface Outcome {
  /** Excluded 0 at some look, by the interval that holds at every look, and by the one for a single look. */
  readonly sequential: boolean;
  readonly single: boolean;
  /** The same, taking each impression for a unit of its own. */
  readonly ungrouped: boolean;
}

/** One experiment of two arms whose users click at rates of their own, looked at again and again. */
function runExperiment(
  seed: number,
  { lift, spread }: { readonly lift: number; readonly spread: number },
): Outcome {
  const next = uniformsOf(seed, `experiment-${seed}`);
  let drawn = 0;
  const uniform = () => next(drawn++);
  const users = Array.from({ length: 2 * groups }, () => 0.1 * (1 + spread * (uniform() < 0.5 ? -1 : 1)));
  const shown = [new Float64Array(groups), new Float64Array(groups)];
  const clicked = [new Float64Array(groups), new Float64Array(groups)];
  const found = { sequential: false, single: false, ungrouped: false };
  for (let look = 1; look <= looks; look += 1) {
    for (let i = 0; i < impressionsALook; i += 1) {
      const arm = i % 2;
      const group = Math.floor(uniform() * groups);
      shown[arm][group] += 1;
      const rate = users[arm * groups + group] * (arm === 1 ? 1 + lift : 1);
      if (uniform() < rate) clicked[arm][group] += 1;
    }
    if (look < firstLook) continue;
    const [a, b] = [groupedRatio(clicked[0], shown[0]), groupedRatio(clicked[1], shown[1])];
    const difference = b.value - a.value;
    const unitVariance = a.value * (1 - a.value);
    const priorVariance = tunedPriorVariance(unitVariance, 10_000, alpha);
    const variance = a.variance + b.variance;
    const excludes = ([low, high]: readonly [number, number]) => low > 0 || high < 0;
    found.sequential ||= excludes(sequentialInterval({ difference, variance, priorVariance }, alpha));
    const standardError = Math.sqrt(variance);
    found.single ||= excludes(normalInterval({ value: difference, standardError }, 1 - alpha));
    const count = (look * impressionsALook) / 2;
    const naive = { difference, variance: (2 * unitVariance) / count, priorVariance };
    found.ungrouped ||= excludes(sequentialInterval(naive, alpha));
  }
  return found;
}

function shareOf(outcomes: readonly Outcome[], which: keyof Outcome): number {
  return outcomes.filter((outcome) => outcome[which]).length / outcomes.length;
}

describe('evaluation: sequential', () => {
  test('evaluation: sequential: the interval is where a hand calculation puts it', () => {
    // V = 1, τ² = 3: both 4, half = √(1 · 4/3 · ln(4 / 0.0025)) = √(1.3333 · 7.3778) = 3.1364
    const input = { difference: 2, variance: 1, priorVariance: 3 };
    const [low, high] = sequentialInterval(input, 0.05);
    expect(low).toBeCloseTo(2 - 3.1364, 4);
    expect(high).toBeCloseTo(2 + 3.1364, 4);
    // p = √4 · e^(−3·4 / (2·1·4)) = 2 · e^−1.5
    expect(sequentialPValue(input)).toBeCloseTo(2 * Math.exp(-1.5), 12);
  });

  test('evaluation: sequential: the p-value is the α at which the interval ends at 0', () => {
    const input = { difference: 0.9, variance: 0.04, priorVariance: 0.3 };
    const p = sequentialPValue(input);
    expect(sequentialInterval(input, p)[0]).toBeCloseTo(0, 10);
    expect(sequentialPValue({ ...input, difference: 0 })).toBe(1);
  });

  test('evaluation: sequential: no other prior is tighter at the count that it is tuned for', () => {
    const count = 5_000;
    const variance = (2 * 0.09) / count;
    const half = (priorVariance: number) =>
      sequentialInterval({ difference: 0, variance, priorVariance }, alpha)[1];
    const tuned = tunedPriorVariance(0.09, count, alpha);
    for (const factor of [0.25, 0.5, 2, 4]) expect(half(tuned)).toBeLessThan(half(tuned * factor));
  });

  test('evaluation: sequential: A/A looked at 55 times errs in 5 % at most, and intervals for one look in many more', () => {
    const outcomes = Array.from({ length: 300 }, (_, i) => runExperiment(i + 1, { lift: 0, spread: 0.8 }));
    expect(shareOf(outcomes, 'sequential')).toBeLessThanOrEqual(alpha);
    expect(shareOf(outcomes, 'single')).toBeGreaterThan(3 * alpha);
    // Users differ, so their impressions are no units: whoever takes them for such errs too often.
    expect(shareOf(outcomes, 'ungrouped')).toBeGreaterThan(shareOf(outcomes, 'sequential'));
  });

  test('evaluation: sequential: a lift of a third is found in most of the experiments', () => {
    const outcomes = Array.from({ length: 60 }, (_, i) =>
      runExperiment(1_000 + i, { lift: 1 / 3, spread: 0.3 }),
    );
    expect(shareOf(outcomes, 'sequential')).toBeGreaterThan(0.9);
  });
});

describe('evaluation: grouped ratio', () => {
  test('evaluation: grouped ratio: by hand', () => {
    const {
      value,
      variance,
      groups: count,
    } = groupedRatio(Float64Array.of(1, 3, 0), Float64Array.of(4, 4, 0));
    expect([value, count]).toEqual([0.5, 2]);
    // 2/1 · ((1 − 2)² + (3 − 2)²) / 64
    expect(variance).toBe(4 / 64);
  });

  test('evaluation: grouped ratio: with one impression a group it is the binomial variance', () => {
    const m = 2_000;
    const clicks = Float64Array.from({ length: m }, (_, g) => (g % 5 === 0 ? 1 : 0));
    const { variance } = groupedRatio(clicks, new Float64Array(m).fill(1));
    expect(variance).toBeCloseTo((0.2 * 0.8) / (m - 1), 12);
  });

  test('evaluation: grouped ratio: tells nothing of nothing', () => {
    const { value, variance } = groupedRatio(new Float64Array(2), new Float64Array(2));
    expect([value, variance]).toEqual([Number.NaN, Number.NaN]);
  });
});
