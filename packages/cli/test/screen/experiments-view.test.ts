import { stripVTControlCharacters } from 'node:util';
import type { ArmReport, ExperimentReport } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { experimentsView, experimentView } from '../../src/screen/experiments-view.ts';

const arm: ArmReport = {
  name: 'a',
  share: 0.5,
  target: { type: 'default' },
  learn: 'shared',
  shadow: false,
  takenOut: null,
  shown: 20_000,
  clicked: 2_000,
  clickRate: 0.1,
  values: [
    { kind: 'click', sum: 2_000, mean: 0.1 },
    { kind: 'buy', sum: 512.25, mean: 0.0256 },
  ],
  calibration: 1.02,
  logloss: 0.3251,
  offPolicy: {
    policy: 'greedy',
    ranks: 4_000,
    drawn: { value: 0.1, interval: [0.08, 0.12] },
    snips: { value: 0.1204, interval: [0.1, 0.14] },
    dr: { value: 0.1213, interval: null },
    effectiveSampleSize: 1_234.5,
    meanWeight: 0.998,
    reason: null,
  },
  units: 5_000,
  scoring: { requests: 40, errors: 0, notFinite: 0, dropped: 0, p50Ms: 1, p99Ms: 4.44 },
};
const report: ExperimentReport = {
  name: 'button',
  model: 'shop',
  layer: 'main',
  key: 'user.user',
  salt: 'main',
  control: 'a',
  confidence: 0.95,
  guards: { logloss: 0.1, calibration: 0.5, nan: 0, errors: 0.02, p99: 1 },
  note: '',
  startedMs: 0,
  endedMs: null,
  kept: null,
  arms: [
    arm,
    {
      ...arm,
      name: 'b',
      share: 0,
      target: { type: 'version', version: 3 },
      takenOut: 'worse',
      scoring: null,
      offPolicy: {
        policy: 'greedy',
        ranks: 0,
        drawn: null,
        snips: null,
        dr: null,
        effectiveSampleSize: 0,
        meanWeight: null,
        reason: 'no propensities',
      },
    },
  ],
  comparisons: [
    {
      arm: 'b',
      metric: 'clickRate',
      control: 0.1,
      value: 0.13,
      difference: 0.03,
      interval: [0.0121, 0.0479],
      pValue: 0.00002,
      verdict: 'better',
    },
    {
      arm: 'b',
      metric: 'logloss',
      control: 0.3,
      value: 0.4,
      difference: 0.1,
      interval: null,
      pValue: null,
      verdict: '',
    },
  ],
  sampleRatio: {
    arms: [
      { name: 'a', expected: 0.5, found: 0.55 },
      { name: 'b', expected: 0.5, found: 0.45 },
    ],
    units: 5_000,
    pValue: 1e-9,
    mismatch: true,
    verdict: 'units do not come as dealt',
  },
  changes: [{ timeMs: 0, by: 'guard', shares: { a: 0.5, b: 0 }, reason: 'worse' }],
  verdict: 'b was taken out by a guard: worse. Go on.',
};

test('experiments view: one experiment: arms, differences with intervals, changes and a verdict', () => {
  const lines = stripVTControlCharacters(experimentView(report)).split('\n');
  const like = (pattern: RegExp) =>
    expect(
      lines.some((line) => pattern.test(line)),
      String(pattern),
    ).toBe(true);
  like(/^button of shop, running: layer main, units by user\.user$/);
  like(/^sample ratio: units do not come as dealt \(p 1e-9: a 55 % of 50 %, b 45 % of 50 %\)$/);
  like(/^a \(control\) +50 % +5000 +as without +20000 +10 % +2000 +512\.3 +1\.02 +0\.3251 +40 +4\.44 +0/);
  like(/^b +taken out +5000 +version 3 /);
  like(/^b +clickRate +0\.1 +0\.13 +\+0\.03 +\+0\.0121 … \+0\.0479 +0\.00002/);
  like(/^b +logloss .*too little yet +–/);
  like(/^a +4000 +10 % \(8 % … 12 %\) +12 % \(10 % … 14 %\) +12\.1 % \(too little yet\) +1235 +0\.998$/);
  like(/^b: no propensities$/);
  like(/^1970-01-01T00:00:00\.000Z {2}guard: worse \(a 50 %, b 0 %\)$/);
  expect(lines.at(-1)).toBe(report.verdict);
});

test('experiments view: where nobody ranks one line says why there is nothing of first places', () => {
  const [, unranked] = report.arms;
  const text = stripVTControlCharacters(experimentView({ ...report, arms: [unranked, unranked] }));
  expect(text.match(/first place.*/g)).toEqual(['first places: no propensities']);
});

test('experiments view: all of them, a line each', () => {
  const text = stripVTControlCharacters(
    experimentsView([report, { ...report, name: 'old', endedMs: 5, kept: 'b' }]),
  );
  expect(text).toMatch(
    /button +shop +main +running +a 50 %, b 0 % +40000 +b was taken out by a guard: worse\.\n/,
  );
  expect(text).toMatch(/old +shop +main +ended, b stays/);
  expect(experimentsView([])).toMatch(/no experiments/);
});
