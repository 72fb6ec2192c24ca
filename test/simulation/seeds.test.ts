/**
 * The whole product under seeded harm. `SEED=… npm test -- test/simulation` runs one seed alone and prints how to see what
 * happened; `npm run simulate` runs many.
 */
import { failedSeeds } from '@millrace/testkit';
import { expect, test } from 'vitest';
import { resultOf, simulateCommand } from './simulate-command.ts';

interface Result {
  readonly seeds: number;
  readonly failed: readonly { readonly seed: number; readonly violations: readonly unknown[] }[];
  readonly figures: Readonly<Record<string, number>>;
  readonly harms: Readonly<Record<string, number>>;
  readonly seedsPerSecond: number;
}

const only = process.env.SEED;
/** Half of the steps that the command takes by itself: two cores have them done in a minute. */
const steps = ['--steps', '100'];
const seeds = only === undefined ? ['--seeds', '200', ...steps] : ['--from', only, '--seeds', '1', ...steps];

test('simulation: 200 seeds: every invariant holds, and it was rough', { timeout: 900_000 }, async () => {
  const result = resultOf<Result>(await simulateCommand([...seeds, '--workers', '2', '--json']));
  const { figures, harms } = result;
  process.stdout.write(`simulation: ${JSON.stringify({ ...result, failed: result.failed.length })}\n`);
  expect(result.failed).toEqual([]);
  if (only !== undefined) return;
  expect(result.seeds).toBe(200);
  // Every kind of harm was done, and the cluster did what it does then.
  expect(Object.keys(harms).sort()).toEqual([
    'bad-block',
    'clock-jump',
    'crash',
    'cut-from-nats',
    'cut-from-process',
    'damage',
    'disk-full',
    'freeze',
    'membership',
    'nats-restart',
  ]);
  for (const met of [
    'restores',
    'released',
    'snapshots',
    'damagedSnapshots',
    'degraded',
    'refused',
    'strict',
  ])
    expect([met, (figures[met] ?? 0) > 20]).toEqual([met, true]);
  expect(figures.recomputed).toBeGreaterThan(10_000);
  expect(figures.audited).toBeGreaterThan(5_000);
});

test('simulation: seeds that were broken once are well', { timeout: 600_000 }, async () => {
  const steps = [...new Set(failedSeeds.map((failed) => failed.steps))];
  for (const count of steps) {
    const own = failedSeeds.filter((failed) => failed.steps === count).map(({ seed }) => seed);
    const options = ['--only', own.join(), '--steps', String(count), '--workers', '2', '--json'];
    const result = resultOf<Result>(await simulateCommand(options));
    expect([result.seeds, result.failed]).toEqual([own.length, []]);
  }
});

test('simulation: the same seed is the same run, in any process; another seed is another', async () => {
  const traceOf = async (seed: number) => {
    const end = await simulateCommand(['--steps', '60', '--json'], { SEED: String(seed) });
    return resultOf<{ traceHash: string; events: number }>(end);
  };
  const [first, again, other] = await Promise.all([traceOf(3), traceOf(3), traceOf(4)]);
  expect([again.traceHash, again.events]).toEqual([first.traceHash, first.events]);
  expect(other.traceHash).not.toBe(first.traceHash);
});

test('simulation: a replay prints its trace, which ends with its hash', async () => {
  const { code, output } = await simulateCommand(['--steps', '10', '--trace'], { SEED: '5' });
  expect(code).toBe(0);
  expect(output).toMatch(/^ +\d+\.\d {2}shard-a starts$/m);
  expect(output).toMatch(/\ntrace [0-9a-f]{16}\n$/);
});
