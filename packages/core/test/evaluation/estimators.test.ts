import { expect, test } from 'vitest';
import {
  bootstrapSelfNormalized,
  clipWeights,
  crossFittedMeans,
  directMethod,
  doublyRobust,
  inversePropensityScore,
  normalInterval,
  type RewardModel,
  reportOnWeights,
  selfNormalized,
  switchDoublyRobust,
  type WeightedRewards,
} from '../../src/evaluation/index.ts';
import { uniformsOf } from '../../src/exploration/index.ts';

const four: WeightedRewards = {
  weights: Float64Array.from([2, 0.5, 1, 4]),
  rewards: Float64Array.from([1, 0, 1, 0]),
  count: 4,
};
const model: RewardModel = {
  taken: Float64Array.from([0.5, 0.25, 0.5, 0.25]),
  target: Float64Array.from([0.4, 0.4, 0.3, 0.5]),
};

test('evaluation: IPS by hand: the mean of w·r and its standard error', () => {
  // w·r = 2, 0, 1, 0: mean 0.75, squares about it 1.5625 + 0.5625 + 0.0625 + 0.5625 = 2.75.
  const found = inversePropensityScore(four);
  expect(found.value).toBe(0.75);
  expect(found.standardError).toBeCloseTo(Math.sqrt(2.75 / 3 / 4), 14);
});

test('evaluation: SNIPS by hand: Σ w·r / Σ w, standard error by the delta method', () => {
  // 3 / 7.5 = 0.4; w(r − 0.4) = 1.2, −0.2, 0.6, −1.6: squares 1.44 + 0.04 + 0.36 + 2.56 = 4.4.
  const found = selfNormalized(four);
  expect(found.value).toBeCloseTo(0.4, 14);
  expect(found.standardError).toBeCloseTo(Math.sqrt(4.4) / 7.5, 14);
});

test('evaluation: DM, DR and switch-DR by hand', () => {
  expect(directMethod(model, 4).value).toBeCloseTo(0.4, 14);
  // w(r − q̂) = 1, −0.125, 0.5, −1; with the target 1.4, 0.275, 0.8, −0.5.
  expect(doublyRobust(four, model).value).toBeCloseTo(1.975 / 4, 14);
  // The weight 4 is over the threshold: 1.4, 0.275, 0.8, 0.5.
  expect(switchDoublyRobust(four, model, 3).value).toBeCloseTo(2.975 / 4, 14);
  expect(switchDoublyRobust(four, model, 4).value).toBe(doublyRobust(four, model).value);
});

test('evaluation: weights: mean, largest, effective sample size', () => {
  // (7.5)² / (4 + 0.25 + 1 + 16)
  const found = reportOnWeights(four.weights, 4);
  expect(found).toEqual({ mean: 1.875, max: 4, effectiveSampleSize: 56.25 / 21.25 });
  expect(reportOnWeights(new Float64Array(3).fill(2), 3).effectiveSampleSize).toBe(3);
  expect(reportOnWeights(new Float64Array(3), 3).effectiveSampleSize).toBe(0);
});

test('evaluation: clipping: counts what it cut and how much weight went', () => {
  const { weights, clipped, weightLost } = clipWeights(four.weights, 4, 1.5);
  expect([...weights]).toEqual([1.5, 0.5, 1, 1.5]);
  expect(clipped).toBe(2);
  expect(weightLost).toBeCloseTo(1 - 4.5 / 7.5, 14);
  expect([...four.weights]).toEqual([2, 0.5, 1, 4]);
});

test('evaluation: cross-fitted means by hand: of the other folds, drawn to their position’s mean', () => {
  // Ten decisions of one position, item 0 and 1 in turn; those of item 0 at 0 and 2 were rewarded.
  const rewards = Float64Array.from([1, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
  const found = crossFittedMeans({
    itemOf: Uint32Array.from([0, 1, 0, 1, 0, 1, 0, 1, 0, 1]),
    positionOf: new Uint32Array(10),
    rewards,
    count: 10,
    items: 2,
    positions: 1,
    probabilities: Float64Array.from([0.5, 0.5]),
  });
  // Decision 0 is in fold 0 with decision 5: left are 1 reward in 8; of item 0 four with one, of item 1 four with none.
  const own = (1 + 100 / 8) / 104;
  const other = (0 + 100 / 8) / 104;
  expect(found.taken[0]).toBeCloseTo(own, 14);
  expect(found.taken[5]).toBeCloseTo(other, 14);
  expect(found.target[0]).toBeCloseTo((own + other) / 2, 14);
  // Fold 1: both rewards are left.
  expect(found.taken[6]).toBeCloseTo((2 + 100 / 4) / 104, 14);
});

test('evaluation: intervals: 1.96 standard errors; the bootstrap repeats with its seed', () => {
  const [low, high] = normalInterval({ value: 1, standardError: 0.5 }, 0.95);
  expect([low, high].map((end) => end.toFixed(6))).toEqual(['0.020018', '1.979982']);
  const { logged } = simulate(500, 'bootstrap');
  const options = { confidence: 0.95, resamples: 400, seed: 3 };
  const interval = bootstrapSelfNormalized(logged, options);
  expect(bootstrapSelfNormalized(logged, options)).toEqual(interval);
  expect(bootstrapSelfNormalized(logged, { ...options, seed: 4 })).not.toEqual(interval);
  // About as wide as the delta method says.
  const { value, standardError } = selfNormalized(logged);
  expect((interval[1] - interval[0]) / (2 * 1.96 * standardError)).toBeCloseTo(1, 0.5);
  expect([interval[0] < value, value < interval[1]]).toEqual([true, true]);
});

/**
 * A bandit of three contexts and four items whose truth is known: the logging policy prefers item 0, the judged one item 2
 * and, in context 1, item 3.
 */
const chances = [
  [0.1, 0.3, 0.5, 0.2],
  [0.6, 0.2, 0.1, 0.4],
  [0.2, 0.2, 0.3, 0.7],
];
const logging = [0.55, 0.2, 0.15, 0.1];
const judged = [
  [0.1, 0.1, 0.7, 0.1],
  [0.1, 0.1, 0.1, 0.7],
  [0.1, 0.1, 0.7, 0.1],
];
const truth =
  judged.reduce(
    (sum, row, x) => sum + row.reduce((inner, p, a) => inner + p * (chances[x][a] as number), 0),
    0,
  ) / 3;

function simulate(count: number, name: string): { logged: WeightedRewards; model: RewardModel } {
  const uniform = uniformsOf(5, name);
  const weights = new Float64Array(count);
  const rewards = new Float64Array(count);
  const taken = new Float64Array(count);
  const target = new Float64Array(count);
  for (let i = 0; i < count; i += 1) {
    const x = Math.floor(3 * uniform(3 * i));
    let left = uniform(3 * i + 1);
    let a = 0;
    while (a < 3 && left >= logging[a]) {
      left -= logging[a];
      a += 1;
    }
    rewards[i] = uniform(3 * i + 2) < chances[x][a] ? 1 : 0;
    weights[i] = judged[x][a] / logging[a];
    // A fair model: right about the order, half as sharp.
    const guess = (item: number) => 0.3 + 0.5 * ((chances[x][item] as number) - 0.3);
    taken[i] = guess(a);
    target[i] = judged[x].reduce((sum, p, item) => sum + p * guess(item), 0);
  }
  return { logged: { weights, rewards, count }, model: { taken, target } };
}

test('evaluation: on a bandit of known value IPS, SNIPS and DR find it, and their standard errors are true', () => {
  const runs = 200;
  const estimates = { ips: [] as number[], snips: [] as number[], dr: [] as number[] };
  const told = { ips: 0, snips: 0, dr: 0 };
  for (let run = 0; run < runs; run += 1) {
    const { logged, model: guesses } = simulate(1_000, `run-${run}`);
    const found = {
      ips: inversePropensityScore(logged),
      snips: selfNormalized(logged),
      dr: doublyRobust(logged, guesses),
    };
    for (const name of ['ips', 'snips', 'dr'] as const) {
      estimates[name].push(found[name].value);
      told[name] += found[name].standardError / runs;
    }
  }
  const spreads = { ips: 0, snips: 0, dr: 0 };
  for (const name of ['ips', 'snips', 'dr'] as const) {
    const values = estimates[name];
    const mean = values.reduce((sum, value) => sum + value, 0) / runs;
    spreads[name] = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (runs - 1));
    // Unbiased: within four standard errors of the mean of 200 runs.
    expect(Math.abs(mean - truth)).toBeLessThan((4 * spreads[name]) / Math.sqrt(runs));
    // A standard deviation of 200 runs is known to about 5 %.
    expect(told[name] / spreads[name]).toBeGreaterThan(0.8);
    expect(told[name] / spreads[name]).toBeLessThan(1.25);
  }
  expect(spreads.dr).toBeLessThan(0.9 * spreads.ips);
  expect(spreads.snips).toBeLessThan(spreads.ips);
});
