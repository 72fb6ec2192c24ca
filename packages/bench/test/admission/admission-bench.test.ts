import { expect, test } from 'vitest';
import { runAdmissionBench, smokeSize } from '../../src/admission/admission-bench.ts';

test('admission bench: smoke: each policy keeps fewer rows, and the same each time', async () => {
  const told: string[] = [];
  const results = await runAdmissionBench(smokeSize, (_, policy) => told.push(policy));
  expect(results.map(({ policy }) => policy)).toEqual(told);
  const rowsOf = (name: string) => results.find(({ policy }) => policy === name)?.rows ?? Number.NaN;
  expect(rowsOf('none')).toBeGreaterThan(300);
  for (const name of ['count 2', 'count 3', 'sketch 3', 'probability 0.3'])
    expect([name, rowsOf(name) < rowsOf('none')]).toEqual([name, true]);
  expect(rowsOf('count 3')).toBeLessThan(rowsOf('count 2'));
  // Cells to spare: the sketch counts as exactly as the counter.
  expect(rowsOf('sketch 3')).toBe(rowsOf('count 3'));
  for (const { auc, logloss, notAdmitted, policy } of results) {
    expect(auc).toBeGreaterThan(0.5);
    expect(logloss).toBeLessThan(0.5);
    expect(notAdmitted > 0).toBe(/count|sketch|probability/.test(policy));
  }
  const again = await runAdmissionBench(smokeSize, () => undefined);
  const figures = (all: typeof results) => all.map(({ examplesPerSecond: _, ...rest }) => rest);
  expect(figures(again)).toEqual(figures(results));
});
