import { expect, test } from 'vitest';
import { runLearnBench, runsOf } from '../../src/learn/learn-bench.ts';
import { smokeSize } from '../../src/learn/parameters.ts';

test('learn bench: the smoke size learns, recovers the same from disturbed events, and stays calibrated when sampled', async () => {
  const shown: number[] = [];
  const size = { ...smokeSize, requests: 600, sampledRequests: 900 };
  const result = await runLearnBench(size, (done) => shown.push(done));
  expect(result.events).toBe(4_800);
  // What an untrained model has, 0.5 for everything, is about 0.4.
  expect(result.regretBeforeDrift).toBeLessThan(0.06);
  expect(result.expectedRegret).toBeLessThan(0.06);
  expect(result.regretAtDrift).toBeGreaterThan(0);
  const [duplicated, reordered, delayed] = result.disturbed;
  // Repeats are known for what they are: the same examples in the same order, to the bit.
  expect([duplicated.loglossDifference, duplicated.duplicates > 100]).toEqual([0, true]);
  expect([reordered.early > 50, reordered.duplicates, delayed.early]).toEqual([true, 0, 0]);
  expect(Math.abs(reordered.loglossDifference)).toBeLessThan(0.003);
  const [all, tenth] = result.rates;
  expect(all.shown - all.learned).toBeLessThan(100);
  expect([tenth.learned > 0.15 * tenth.shown, tenth.learned < 0.3 * tenth.shown]).toEqual([true, true]);
  // So early the few negatives of a hundredth say little; without the offset a tenth would be at about 3.
  expect(tenth.calibration).toBeGreaterThan(0.8);
  expect(tenth.calibration).toBeLessThan(1.25);
  expect(shown.at(-1)).toBeLessThanOrEqual(runsOf);
}, 120_000);
