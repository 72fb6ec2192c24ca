import { expect, test } from 'vitest';
import { nets } from '../../src/split/nets.ts';
import { smokeSize } from '../../src/split/parameters.ts';
import { runSplitBench } from '../../src/split/split-bench.ts';

test('split bench: scores the same by halves as whole, on every net', async () => {
  const figures = await runSplitBench(smokeSize, ['plain'], () => {});
  for (const { name } of nets) {
    const lines = figures.filter(({ net }) => net === name);
    expect(lines[0].engine).toBe('plain');
    // What auto takes is measured, asked for or not.
    expect(lines.filter(({ isDefault }) => isDefault)).toHaveLength(1);
  }
  for (const { whole, fresh, known, difference } of figures) {
    expect(Math.min(whole, fresh, known)).toBeGreaterThan(0);
    expect(difference).toBeLessThan(1e-5);
  }
  expect(figures.some(({ difference }) => difference > 0)).toBe(true);
});
