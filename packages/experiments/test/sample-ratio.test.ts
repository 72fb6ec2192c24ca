import {
  decodeExperimentSums,
  type ExperimentSums,
  encodeExperimentSums,
  unitSampleMax,
} from '@millrace/protocol';
import { describe, expect, test } from 'vitest';
import { followArmDeals } from '../src/arm-deals.ts';
import { dealOf, experimentIn, withShares, withStopped } from '../src/catalog.ts';
import { openSums } from '../src/open-sums.ts';
import { reportOn } from '../src/report.ts';
import { createSumsFold } from '../src/sums.ts';
import { addUnit, emptyUnits } from '../src/unit-sample.ts';
import { buttonSpec, catalogWith, change } from './specs.ts';

const start: ExperimentSums = {
  format: 1,
  model: 'shop',
  kinds: ['click'],
  place: [0, 0, 0],
  joinFrom: 1,
  joinWatermarkMs: 0,
  arms: [],
};
const catalog = catalogWith(buttonSpec);
const since = dealOf(experimentIn(catalog, 'button'))?.sinceMs as number;

function numbersFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state;
  };
}

/** Units of both arms, of b only `keptOfB`; each comes twice. */
function shownTo(units: number, keptOfB: number, timeMs = since) {
  const [next, keep] = [numbersFrom(units + 1), numbersFrom(7)];
  const fold = createSumsFold(start, { unitsSinceMs: () => since });
  for (let i = 0; i < units; i += 1) {
    const arm = i % 2 === 0 ? 'button/a' : 'button/b';
    // Numbers of a generator are no hash of units: its high bits are good enough once they are mixed.
    const unit = Math.imul(next() ^ (next() >>> 15), 0x85ebca6b) >>> 0;
    if (arm === 'button/b' && keep() / 4_294_967_296 >= keptOfB) continue;
    for (let visit = 0; visit < 2; visit += 1) fold.takeShown({ timeMs, arm, units: [unit] });
  }
  return fold;
}

function reportOf(record: ExperimentSums, of = catalog) {
  return reportOn(of, experimentIn(of, 'button'), openSums([record]), new Map());
}

describe('experiments: unit sample', () => {
  test('experiments: unit sample: keeps the smallest, each once, whatever order they come in', () => {
    const sample = emptyUnits(0);
    const next = numbersFrom(3);
    const units = Array.from({ length: 3 * unitSampleMax }, next);
    for (const unit of [...units, ...units.reverse()]) addUnit(sample, unit);
    const expected = [...new Set(units)].sort((a, b) => a - b).slice(0, unitSampleMax);
    expect(Array.from(sample.units.subarray(0, sample.size))).toEqual(expected);
    expect(addUnit(sample, expected[5])).toBe(false);
  });
});

describe('experiments: sample ratio', () => {
  test.each([2_000, 60_000])('experiments: sample ratio: %i units dealt in halves come so', (units) => {
    const { sampleRatio, arms, verdict } = reportOf(shownTo(units, 1).record());
    expect(sampleRatio).toMatchObject({ mismatch: false, verdict: 'units come to the arms as dealt' });
    expect(sampleRatio.pValue).toBeGreaterThan(0.05);
    for (const arm of arms) {
      const off = Math.abs((arm.units as number) - units / 2) / (units / 2);
      expect(off).toBeLessThan(units / 2 <= unitSampleMax ? 1e-9 : 0.06);
    }
    expect(verdict).not.toMatch(/Beware/);
  });

  test.each([4_000, 60_000])(
    'experiments: sample ratio: an arm that loses a fifth of %i units is told of, with what to do',
    (units) => {
      const { sampleRatio, verdict } = reportOf(shownTo(units, 0.8).record());
      expect(sampleRatio.mismatch).toBe(true);
      expect(sampleRatio.pValue).toBeLessThan(0.001);
      expect(sampleRatio.arms.map(({ expected }) => expected)).toEqual([0.5, 0.5]);
      expect(sampleRatio.verdict).toMatch(
        /^units do not come as dealt: (a|b) has .* Do not trust the differences/,
      );
      expect(verdict).toMatch(/^Beware: units do not come as dealt/);
    },
  );

  test('experiments: sample ratio: a change of shares begins anew, and what was shown before it counts no more', () => {
    const record = shownTo(4_000, 0.8).record();
    const changed = withShares(catalog, 'button', { b: 0.1 }, { ...change, timeMs: 90_000 });
    expect(dealOf(experimentIn(changed, 'button'))).toEqual({
      shares: { a: 0.5, b: 0.1 },
      sinceMs: 95_000,
    });
    expect(reportOf(record, changed).sampleRatio).toMatchObject({
      pValue: null,
      verdict: /not judged: no units have come/,
    });
    const fold = createSumsFold(record, { unitsSinceMs: () => 95_000 });
    fold.takeShown({ timeMs: 94_999, arm: 'button/a', units: [1] });
    expect(fold.changes).toBe(0);
    for (let i = 0; i < 600; i += 1)
      fold.takeShown({ timeMs: 95_000, arm: i % 6 === 0 ? 'button/b' : 'button/a', units: [i] });
    expect(reportOf(fold.record(), changed)).toMatchObject({
      sampleRatio: { units: 600, mismatch: false },
      arms: [{ units: 500 }, { units: 100 }],
    });
  });

  test('experiments: sample ratio: is kept with the sums, told of after the end, and found again by a successor', () => {
    const first = shownTo(4_000, 0.8);
    const written = decodeExperimentSums(encodeExperimentSums(first.record()));
    const second = createSumsFold(written, { unitsSinceMs: () => since });
    expect(second.record()).toEqual(first.record());
    const ended = withStopped(catalog, 'button', null, { ...change, timeMs: 99_000 });
    expect(reportOf(written, ended).sampleRatio.mismatch).toBe(true);
  });

  test('experiments: sample ratio: a single arm, shadows and arms that learn apart are not judged', () => {
    const arms = (second: object) =>
      catalogWith({ ...buttonSpec, arms: [buttonSpec.arms[0], { ...buttonSpec.arms[1], ...second }] });
    for (const second of [{ shadow: true }, { target: { type: 'model', model: 'other' } }, { share: 0 }])
      expect(reportOf(shownTo(2_000, 0.5).record(), arms(second)).sampleRatio).toMatchObject({
        pValue: null,
        mismatch: false,
        verdict: /^not judged: fewer than two arms/,
      });
  });

  test('experiments: arm deals: since when units of an arm count, of either name, until it has ended', () => {
    let now = catalog;
    const listeners = new Set<(model: string) => void>();
    const view = {
      catalogOf: (model: string) => (model === 'shop' ? now : { ...now, experiments: [] }),
      onChange(listener: (model: string) => void) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    };
    const [own, other] = [followArmDeals(view, 'shop'), followArmDeals(view, 'other')];
    expect(own.unitsSinceMs('button/a')).toBe(since);
    expect(other.unitsSinceMs('shop:button/a')).toBe(since);
    expect([own.isRunning('button/c'), own.isRunning('old/a'), other.isRunning('button/a')]).toEqual([
      false,
      false,
      false,
    ]);
    now = withStopped(catalog, 'button', null, change);
    expect(own.isRunning('button/a')).toBe(true);
    for (const listener of listeners) listener('shop');
    expect([own.isRunning('button/a'), other.unitsSinceMs('shop:button/a')]).toEqual([false, null]);
    own.close();
    other.close();
    expect(listeners.size).toBe(0);
  });
});
