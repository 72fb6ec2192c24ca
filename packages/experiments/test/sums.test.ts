import {
  decodeExperimentSums,
  type ExperimentSums,
  encodeExperimentSums,
  resultArmsMax,
  sumColumnCount,
  sumColumns,
  sumTotals,
} from '@millrace/protocol';
import { describe, expect, test } from 'vitest';
import { createArmWindow } from '../src/arm-window.ts';
import { experimentIn } from '../src/catalog.ts';
import type { JudgedExample } from '../src/judged-example.ts';
import { openSums } from '../src/open-sums.ts';
import { reportOn } from '../src/report.ts';
import { createSumsFold } from '../src/sums.ts';
import { buttonSpec, catalogWith } from './specs.ts';

const start: ExperimentSums = {
  format: 1,
  model: 'shop',
  kinds: ['click', 'buy'],
  place: [0, 0, 0],
  joinFrom: 1,
  joinWatermarkMs: 0,
  arms: [],
};

function example(sequence: number, part: Partial<JudgedExample>): JudgedExample {
  return {
    place: [sequence, sequence, 0],
    offset: 0,
    isFirst: true,
    makesPositive: false,
    score: 0.25,
    origin: { sequence, watermarkMs: sequence * 10 },
    ...part,
  };
}

function total(record: ExperimentSums, arm: string, column: number): number {
  const own = openSums([record]).get(arm);
  return own?.column(column).reduce((sum, value) => sum + value, 0) ?? Number.NaN;
}

/** Examples as a joiner would give them: negatives, clicks of `rate` by arm, and purchases. */
function stream(count: number, rates: Readonly<Record<string, number>>, seed: number): JudgedExample[] {
  let state = seed;
  const uniform = () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) / 16_777_216;
  };
  const arms = Object.keys(rates);
  return Array.from({ length: count }, (_, i) => {
    const arm = arms[i % arms.length];
    const clicks = uniform() < rates[arm];
    const outcome = clicks
      ? { makesPositive: true, kind: i % 7 === 0 ? 1 : 0, value: i % 7 === 0 ? 20 : 1 }
      : {};
    const units = [Math.floor(uniform() * 512)];
    return example(i + 1, { arm, units, score: 0.1, ...outcome });
  });
}

describe('experiments: sums', () => {
  test('experiments: sums: by hand', () => {
    const fold = createSumsFold(start);
    fold.take(example(1, { arm: 'x/a', units: [3] }));
    fold.take(example(2, { arm: 'x/a', units: [3], makesPositive: true, kind: 1, value: 12.5 }));
    fold.take(example(3, {}));
    const record = fold.record();
    expect(record).toMatchObject({ place: [3, 3, 0], joinFrom: 3, joinWatermarkMs: 30 });
    expect(
      [sumColumns.shown, sumColumns.clicked, sumColumnCount + 1].map((c) => total(record, 'x/a', c)),
    ).toEqual([2, 1, 12.5]);
    expect(total(record, 'x/a', sumColumns.loss)).toBeCloseTo(-Math.log(0.75) - Math.log(0.25), 12);
    expect(openSums([record]).get('x/a')?.column(sumColumns.shown)[3]).toBe(2);
  });

  test('experiments: sums: a negative that sampling kept stands for others, until its click comes', () => {
    const fold = createSumsFold(start);
    const offset = Math.log(4);
    fold.take(example(1, { arm: 'x/a', units: [1], offset }));
    expect(total(fold.record(), 'x/a', sumColumns.shown)).toBeCloseTo(4, 12);
    fold.take(example(2, { arm: 'x/a', units: [1], offset, isFirst: false, makesPositive: true }));
    const record = fold.record();
    expect(total(record, 'x/a', sumColumns.shown)).toBeCloseTo(1, 12);
    expect(total(record, 'x/a', sumColumns.loss)).toBeCloseTo(-Math.log(0.25), 12);
  });

  test('experiments: sums: whoever goes on from what was written counts each example once, wherever it stopped', () => {
    const examples = stream(400, { 'x/a': 0.2, 'x/b': 0.3 }, 7);
    const whole = createSumsFold(start);
    for (const one of examples) whole.take(one);
    const expected = encodeExperimentSums(whole.record());
    for (const cut of [1, 133, 399]) {
      const first = createSumsFold(start);
      for (const one of examples.slice(0, cut)) first.take(one);
      const written = decodeExperimentSums(encodeExperimentSums(first.record()));
      const second = createSumsFold(written);
      // The log is read from the origin again: what is in already comes once more.
      for (const one of examples.slice(Math.max(0, cut - 20))) second.take(one);
      expect(Buffer.compare(encodeExperimentSums(second.record()), expected)).toBe(0);
    }
  });

  test('experiments: sums: an item that was a negative first is in the end as one that never was', () => {
    const whole = createSumsFold(start);
    const parts = createSumsFold(start);
    const window = createArmWindow();
    const shadow = (score: number) => ({ shadow: { arm: 'dark/next', unit: 5, score } });
    for (let i = 1; i <= 60; i += 1) {
      const about = { arm: 'x/a', units: [i], score: (i % 9) / 10 + 0.05, ...shadow((i % 7) / 10 + 0.1) };
      const makesPositive = i % 3 === 0;
      whole.take(example(2 * i, { ...about, makesPositive }));
      for (const fold of [parts, { take: window.noteExample }]) {
        fold.take(example(2 * i, about));
        if (makesPositive) fold.take(example(2 * i + 1, { ...about, makesPositive, isFirst: false }));
      }
    }
    for (const arm of ['x/a', 'dark/next']) {
      const [a, b] = [whole, parts].map((fold) => openSums([fold.record()]).get(arm));
      for (const total of [sumTotals.lossSquares, sumTotals.gapSquares])
        expect(b?.total(total)).toBeCloseTo(a?.total(total) as number, 9);
      expect(window.figuresOf(arm)?.lossSquares).toBeCloseTo(a?.total(sumTotals.lossSquares) as number, 9);
      // Spread of the loss of an item: it cannot be below 0.
      const mean = total(whole.record(), arm, sumColumns.loss) / 60;
      expect((b?.total(sumTotals.lossSquares) as number) / 60).toBeGreaterThan(mean * mean);
    }
  });

  test('experiments: sums: where there are too many arms the longest silent of the ended ones gives way', () => {
    const isRunning = (arm: string) => arm === 'run/a';
    const fold = createSumsFold(start, { isRunning });
    fold.take(example(1, { arm: 'run/a', units: [1] }));
    for (let i = 2; i <= resultArmsMax + 3; i += 1) fold.take(example(i, { arm: `old${i}/a`, units: [1] }));
    const names = fold.record().arms.map(({ arm }) => arm);
    expect(names).toHaveLength(resultArmsMax);
    expect(names).toContain('run/a');
    expect([names.includes('old2/a'), names.includes('old5/a')]).toEqual([false, true]);
  });

  test('experiments: sums: a shadow is judged by the same outcomes as what was answered', () => {
    const fold = createSumsFold(start);
    const shadow = { arm: 'dark/next', unit: 5, score: 0.5 };
    fold.take(example(1, { shadow, makesPositive: true }));
    const record = fold.record();
    expect(total(record, 'dark/next', sumColumns.loss)).toBeCloseTo(Math.log(2), 6);
    expect(total(record, 'dark/next', sumColumns.mainLoss)).toBeCloseTo(Math.log(4), 6);
  });
});

describe('experiments: report', () => {
  const catalog = catalogWith(buttonSpec);
  const experiment = experimentIn(catalog, 'button');
  const reportOf = (examples: readonly JudgedExample[]) => {
    const fold = createSumsFold(start);
    for (const one of examples) fold.take(one);
    return reportOn(catalog, experiment, openSums([fold.record()]), new Map());
  };

  test('experiments: report: a better arm is called so, with an interval that has the truth in it', () => {
    const report = reportOf(stream(40_000, { 'button/a': 0.1, 'button/b': 0.13 }, 3));
    const [clicks] = report.comparisons;
    expect(clicks).toMatchObject({ arm: 'b', metric: 'clickRate' });
    const [low, high] = clicks.interval ?? [Number.NaN, Number.NaN];
    expect(low).toBeGreaterThan(0);
    expect(low).toBeLessThan(0.03);
    expect(high).toBeGreaterThan(0.03);
    expect(clicks.verdict).toMatch(/^better: the click rate of b is higher than that of the control/);
    expect(report.verdict).toMatch(/^b is better: .*95 %/);
    expect(report.arms.map(({ shown }) => shown)).toEqual([20_000, 20_000]);
    expect(report.arms[1].values.map(({ kind }) => kind)).toEqual(['click', 'buy']);
  });

  test('experiments: report: of equal arms it says how small a difference may be, and of few nothing', () => {
    const same = reportOf(stream(20_000, { 'button/a': 0.1, 'button/b': 0.1 }, 5));
    expect(same.comparisons[0].verdict).toMatch(
      /^no difference in click rate to be told; if there is one, it is below/,
    );
    const few = reportOf(stream(60, { 'button/a': 0.1, 'button/b': 0.9 }, 5));
    expect(few.comparisons[0]).toMatchObject({ interval: null, pValue: null });
    expect(few.verdict).toMatch(/too little to say anything/);
    expect(reportOf([]).verdict).toBe('Nothing came of b yet.');
  });

  test('experiments: report: an arm that learns apart is found where it is summed, in the sums of its own model', () => {
    const target = { type: 'model', model: 'other' };
    const apart = catalogWith({
      ...buttonSpec,
      arms: [buttonSpec.arms[0], { name: 'own', share: 0.5, target }],
    });
    const foldOf = (model: string, arm: string) => {
      const fold = createSumsFold({ ...start, model });
      for (const one of stream(20_000, { [arm]: 0.1 }, 9)) fold.take(one);
      return fold.record();
    };
    const sums = openSums([foldOf('shop', 'button/a'), foldOf('other', 'shop:button/own')]);
    const { arms, comparisons } = reportOn(apart, experimentIn(apart, 'button'), sums, new Map());
    expect(arms.map(({ learn, shown }) => [learn, shown])).toEqual([
      ['shared', 20_000],
      ['apart', 20_000],
    ]);
    expect(comparisons[0]).toMatchObject({ arm: 'own', metric: 'clickRate', difference: 0 });
  });

  test('experiments: report: a shadow is compared item by item with what was answered', () => {
    const dark = catalogWith({
      ...buttonSpec,
      arms: [{ name: 'next', share: 1, shadow: true, target: { type: 'version', version: 9 } }],
    });
    const fold = createSumsFold(start);
    for (const { arm: _arm, units, ...one } of stream(20_000, { any: 0.1 }, 4))
      fold.take({ ...one, score: 0.2, shadow: { arm: 'button/next', unit: units?.[0] ?? 0, score: 0.1 } });
    const report = reportOn(dark, experimentIn(dark, 'button'), openSums([fold.record()]), new Map());
    // Its scores are right and those answered are not: −ln of what each gave the truth, on average.
    const [compared] = report.comparisons;
    expect(compared.difference).toBeCloseTo(0.325 - 0.362, 2);
    expect(compared.interval?.[1]).toBeLessThan(0);
    expect(compared.verdict).toMatch(/^better: the logloss of next is lower than that of what was answered/);
  });
});
