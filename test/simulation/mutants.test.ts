/** A simulation that finds nothing proves nothing: bugs planted for each invariant are found, and named by it. */
import { expect, test } from 'vitest';
import { resultOf, simulateCommand } from './simulate-command.ts';

interface Run {
  readonly name: string;
  readonly invariant: string;
  readonly caughtBy: number | null;
  readonly named: readonly string[];
}

/** The 200 seeds of seeds.test.ts, which the unmutated code passes, begin with these. The one that found a bug before goes first. */
const seedsMax = 30;

test('simulation: every planted bug is found within 30 seeds, by its invariant', {
  timeout: 900_000,
}, async () => {
  const options = ['--mutant', 'all', '--seeds', String(seedsMax), '--workers', '2', '--json'];
  const runs = resultOf<readonly Run[]>(await simulateCommand(options));
  expect(runs.length).toBeGreaterThanOrEqual(20);
  expect(runs.filter(({ caughtBy }) => caughtBy === null)).toEqual([]);
  for (const { invariant, named } of runs) expect(named).toContain(invariant);
});

test('simulation: a planted bug ends with code 1 where it is not found', async () => {
  // The first step of a run is too early for anything to break.
  const { code, output } = await simulateCommand([
    '--mutant',
    'newest-version-logged',
    '--seeds',
    '1',
    '--steps',
    '0',
  ]);
  expect(code).toBe(1);
  expect(output).toContain('NOT FOUND');
});
