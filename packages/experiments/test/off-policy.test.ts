import { doublyRobust, selfNormalized } from '@millrace/core';
import { type ExperimentSums, unitGroups } from '@millrace/protocol';
import { describe, expect, test } from 'vitest';
import { experimentIn } from '../src/catalog.ts';
import type { JudgedExample } from '../src/judged-example.ts';
import { openSums } from '../src/open-sums.ts';
import { reportOn } from '../src/report.ts';
import { createSumsFold } from '../src/sums.ts';
import { buttonSpec, catalogWith } from './specs.ts';

const start: ExperimentSums = {
  format: 1,
  model: 'shop',
  kinds: ['click'],
  place: [0, 0, 0],
  joinFrom: 1,
  joinWatermarkMs: 0,
  arms: [],
};

function numbersFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 4_294_967_296;
  };
}

/** An item in first place: drawn with `propensity`, clicked or not. */
interface Drawn {
  readonly arm: string;
  readonly unit: number;
  readonly propensity: number;
  readonly score: number;
  readonly isGreedy: boolean;
  readonly greedyScore: number;
  readonly clicked: boolean;
}

/** Three items whose true click rates are not what the model says; epsilon-greedy over the model's scores. */
const truth = [0.3, 0.1, 0.05];
const scores = [0.2, 0.15, 0.1];

function drawnBy(count: number, arm: string, epsilon: number, seed: number): Drawn[] {
  const next = numbersFrom(seed);
  return Array.from({ length: count }, () => {
    const item = next() < epsilon ? Math.floor(3 * next()) : 0;
    return {
      arm,
      unit: Math.floor(unitGroups * next()),
      propensity: item === 0 ? 1 - epsilon + epsilon / 3 : epsilon / 3,
      score: scores[item],
      isGreedy: item === 0,
      greedyScore: scores[0],
      clicked: next() < truth[item],
    };
  });
}

function exampleOf(one: Drawn, sequence: number, part: Partial<JudgedExample> = {}): JudgedExample {
  const { arm, unit, propensity, score, isGreedy, greedyScore, clicked } = one;
  return {
    place: [sequence, sequence, 0],
    offset: 0,
    isFirst: true,
    makesPositive: clicked,
    score,
    arm,
    units: [unit],
    ranked: { propensity, greedy: { isShown: isGreedy, score: greedyScore } },
    origin: { sequence, watermarkMs: 0 },
    ...(clicked && { kind: 0, value: 1 }),
    ...part,
  };
}

const catalog = catalogWith(buttonSpec);

function reportOf(examples: readonly JudgedExample[], of = catalog) {
  const fold = createSumsFold(start);
  for (const one of examples) fold.take(one);
  return reportOn(of, experimentIn(of, 'button'), openSums([fold.record()]), new Map());
}

describe('experiments: off-policy', () => {
  test('experiments: off-policy: SNIPS and DR are those of the estimators over the same decisions', () => {
    const drawn = drawnBy(4_000, 'button/a', 0.4, 11);
    const { offPolicy } = reportOf(drawn.map((one, i) => exampleOf(one, i + 1))).arms[0];
    const rewards = Float64Array.from(drawn, ({ clicked }) => (clicked ? 1 : 0));
    const weights = Float64Array.from(drawn, ({ isGreedy, propensity }) => (isGreedy ? 1 / propensity : 0));
    const logged = { weights, rewards, count: drawn.length };
    const model = {
      taken: Float64Array.from(drawn, ({ score }) => score),
      target: Float64Array.from(drawn, ({ greedyScore }) => greedyScore),
    };
    expect(offPolicy).toMatchObject({ policy: 'greedy', ranks: 4_000, reason: null });
    expect(offPolicy.snips?.value).toBeCloseTo(selfNormalized(logged).value, 10);
    expect(offPolicy.dr?.value).toBeCloseTo(doublyRobust(logged, model).value, 10);
  });

  test('experiments: off-policy: intervals have what the greedy order would have earned in them, and not what was drawn', () => {
    const drawn = drawnBy(30_000, 'button/a', 0.6, 5);
    const { offPolicy } = reportOf(drawn.map((one, i) => exampleOf(one, i + 1))).arms[0];
    for (const estimate of [offPolicy.snips, offPolicy.dr]) {
      const [low, high] = estimate?.interval ?? [Number.NaN, Number.NaN];
      expect(low).toBeLessThan(truth[0]);
      expect(high).toBeGreaterThan(truth[0]);
      expect(high - low).toBeLessThan(0.05);
      expect(low).toBeGreaterThan(offPolicy.drawn?.interval?.[1] ?? Number.NaN);
    }
    expect(offPolicy.meanWeight).toBeCloseTo(1, 1);
    // w is 1/p with probability p, else 0: as much as p of the orders.
    expect(offPolicy.effectiveSampleSize / 30_000).toBeCloseTo(0.6, 1);
  });

  test('experiments: off-policy: a click that comes after its negative corrects all sums, sampled or not', () => {
    const drawn = drawnBy(500, 'button/a', 0.5, 3);
    const whole = reportOf(drawn.map((one, i) => exampleOf(one, i + 1))).arms[0].offPolicy;
    const parts = drawn.flatMap((one, i) => {
      const at = 2 * i + 1;
      const negative = exampleOf({ ...one, clicked: false }, at);
      const click = exampleOf(one, at + 1, { isFirst: false });
      return one.clicked ? [negative, click] : [negative];
    });
    const later = reportOf(parts).arms[0].offPolicy;
    for (const part of ['snips', 'dr', 'drawn'] as const)
      expect(later[part]?.value).toBeCloseTo(whole[part]?.value ?? Number.NaN, 10);
    expect(later.effectiveSampleSize).toBeCloseTo(whole.effectiveSampleSize, 6);
    // Half of the negatives, each for two, stand for all of them.
    const next = numbersFrom(17);
    const many = drawnBy(20_000, 'button/a', 0.5, 23);
    const kept = many.flatMap((one, i) =>
      one.clicked || next() < 0.5 ? [exampleOf(one, i + 1, { offset: Math.log(2) })] : [],
    );
    const sampled = reportOf(kept).arms[0].offPolicy;
    expect(sampled.dr?.value).toBeCloseTo(truth[0], 1);
    expect(Math.abs((sampled.dr?.value ?? 0) - truth[0])).toBeLessThan(0.02);
  });

  test('experiments: off-policy: arms are compared without what their exploration costs them', () => {
    // The same model in both: b explores much, and earns less by that alone.
    const drawn = [...drawnBy(20_000, 'button/a', 0.1, 7), ...drawnBy(20_000, 'button/b', 0.8, 8)];
    const { comparisons } = reportOf(drawn.map((one, i) => exampleOf(one, i + 1)));
    const byMetric = new Map(comparisons.map((one) => [one.metric, one]));
    expect(byMetric.get('clickRate')?.interval?.[1]).toBeLessThan(0);
    const [low, high] = byMetric.get('greedyClickRate')?.interval ?? [Number.NaN, Number.NaN];
    expect(low).toBeLessThan(0);
    expect(high).toBeGreaterThan(0);
  });

  test('experiments: off-policy: a shadow is judged by what it would have shown, from what was drawn', () => {
    const dark = catalogWith({
      ...buttonSpec,
      arms: [buttonSpec.arms[0], { ...buttonSpec.arms[1], shadow: true }],
    });
    // The shadow puts the second item first, which earns a third of what the first does.
    const examples = drawnBy(30_000, '', 0.6, 9).map((one, i) => {
      const isSecond = one.score === scores[1];
      const shadow = {
        arm: 'button/b',
        unit: one.unit,
        score: 0.5,
        greedy: { isShown: isSecond, score: scores[1] },
      };
      return exampleOf(one, i + 1, { shadow });
    });
    const { arms, comparisons } = reportOf(examples, dark);
    const { offPolicy } = arms[1];
    const [low, high] = offPolicy.dr?.interval ?? [Number.NaN, Number.NaN];
    expect(low).toBeLessThan(truth[1]);
    expect(high).toBeGreaterThan(truth[1]);
    expect(comparisons.find(({ metric }) => metric === 'greedyClickRate')).toMatchObject({
      arm: 'b',
      verdict: expect.stringMatching(/^worse: .* than that of what was answered/),
    });
  });

  test('experiments: off-policy: without propensities there are no figures, and why is said', () => {
    const { ranked: _none, ...scored } = exampleOf(drawnBy(1, 'button/a', 0.1, 1)[0], 1);
    const { arms } = reportOf([scored]);
    expect(arms[0].offPolicy).toMatchObject({
      ranks: 0,
      snips: null,
      dr: null,
      reason: expect.stringMatching(/no propensities are logged/),
    });
    expect(arms[1].offPolicy.reason).toBe('nothing came of it yet');
  });

  test('experiments: off-policy: weights that do not average 1 are called rough', () => {
    // Drawn greedily, by a shadow that would have shown another item two times in three.
    const dark = catalogWith({
      ...buttonSpec,
      arms: [buttonSpec.arms[0], { ...buttonSpec.arms[1], shadow: true }],
    });
    const examples = drawnBy(3_000, '', 0, 2).map((one, i) => {
      const isShown = i % 3 === 0;
      const greedy = { isShown, score: isShown ? scores[0] : scores[1] };
      return exampleOf(one, i + 1, { shadow: { arm: 'button/b', unit: one.unit, score: 0.5, greedy } });
    });
    expect(reportOf(examples, dark).arms[1].offPolicy.reason).toMatch(/weights average 0.333, not 1/);
  });

  test('experiments: off-policy: a successor goes on from what was written', () => {
    const examples = drawnBy(300, 'button/a', 0.4, 4).map((one, i) => exampleOf(one, i + 1));
    const whole = createSumsFold(start);
    for (const one of examples) whole.take(one);
    const first = createSumsFold(start);
    for (const one of examples.slice(0, 100)) first.take(one);
    const second = createSumsFold(first.record());
    for (const one of examples.slice(50)) second.take(one);
    expect(second.record()).toEqual(whole.record());
  });
});
