import { expect, test } from 'vitest';
import {
  type ChaosReport,
  faultsOf,
  harmCounts,
  quantile,
  recoveryOf,
  reportText,
} from '../../src/chaos/chaos-report.ts';

const good: ChaosReport = {
  seed: 1,
  seconds: 120,
  kills: 2,
  harms: { 'kill shard': 1, 'cut updater': 1 },
  scored: 10,
  failedScores: 0,
  degradedScores: 0,
  acknowledgedClicks: 3,
  learnedClicks: 3,
  lostBlocks: 0,
  doubleApplied: 0,
  lostExamples: 0,
  lostClicks: 0,
  doubleClicks: 0,
  lostImpressions: 0,
  clicksWithoutImpression: 0,
  recoverySeconds: { shard: { median: 1, max: 2 } },
  verify: 'equal',
  denseNodes: 'equal',
  trimmedLogs: 4,
  p50Ms: 5,
  p99Ms: 50,
  failures: [],
};

test('chaos: report: what must hold', () => {
  expect(faultsOf(good)).toEqual([]);
  // What a score of a killed node may cost is told, and is no fault.
  expect(faultsOf({ ...good, degradedScores: 1, lostImpressions: 1, lostClicks: 1 })).toEqual([]);
  expect(faultsOf({ ...good, failedScores: 2 })).toEqual(['failedScores 2']);
  expect(faultsOf({ ...good, lostBlocks: 1, lostExamples: 3, doubleApplied: 4 })).toEqual([
    'lostBlocks 1',
    'lostExamples 3',
    'doubleApplied 4',
  ]);
  expect(faultsOf({ ...good, verify: 'partition 3 differs' })).toEqual(['verify: partition 3 differs']);
  expect(faultsOf({ ...good, denseNodes: 'one at version 3 of 4' })).toEqual([
    'inference nodes: one at version 3 of 4',
  ]);
});

test('chaos: report: text names what was done, what was lost, and the verdict', () => {
  const text = reportText({ ...good, lostBlocks: 1, failures: ['3.0 s MILL_TIMEOUT: late'] });
  expect(text).toContain('1 × kill shard, 1 × cut updater');
  expect(text).toContain('shard 1 s (longest 2 s)');
  expect(text).toContain('\n3.0 s MILL_TIMEOUT: late');
  expect(text.split('\n').at(-1)).toBe('broken: lostBlocks 1');
  expect(reportText(good).split('\n').at(-1)).toBe('all held');
});

test('chaos: report: counts harms by kind and target', () => {
  const harm = { place: 0, lastsMs: 0, closing: 'silent' } as const;
  expect(
    harmCounts([
      { kind: 'kill', target: 'shard', ...harm },
      { kind: 'stop', target: 'updater', ...harm },
      { kind: 'kill', target: 'shard', ...harm, place: 1 },
    ]),
  ).toEqual({ 'kill shard': 2, 'stop updater': 1 });
});

test('chaos: report: quantiles', () => {
  const values = [4, 1, 3, 2];
  expect([quantile(values, 0), quantile(values, 0.5), quantile(values, 0.99), quantile([], 0.5)]).toEqual([
    1, 3, 4, 0,
  ]);
  expect(recoveryOf([0.25, 3.456, 1])).toEqual({ median: 1, max: 3.46 });
});
