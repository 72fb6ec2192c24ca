/**
 * The production code of shards, inference node and updaters under seeded disorder. `SEED=… npx vitest run --project
 * integration test/simulation` runs one seed alone, `npm run simulate` many; a failure names its seed.
 */
import { reportLine, simulate, simulationModels } from '@millrace/testkit';
import { expect, test } from 'vitest';

const steps = 600;
const seeds = process.env.SEED === undefined ? [1, 2, 3, 4] : [Number(process.env.SEED)];
const runs = seeds.flatMap((seed) =>
  Object.entries(simulationModels).map(([model, file]) => ({ seed, model, file })),
);

test.for(runs)(
  'simulation: SEED=$seed: $model: each example counts once, the log is the truth',
  async ({ seed, model, file }) => {
    const report = await simulate({ seed, file, steps });
    process.stdout.write(`simulation: ${model}: ${reportLine(report)}\n`);
    expect(report.violations).toEqual([]);
    // It was rough, and something was learned.
    expect(report.updaters).toBeGreaterThan(3);
    expect(report.batches).toBeGreaterThan(20);
    expect(report.clicks).toBeGreaterThan(steps / 10);
  },
);

test('simulation: the same seed ends in the same state, another seed in another', async () => {
  const [seed] = seeds;
  const stateOf = async (of: number) =>
    (await simulate({ seed: of, file: simulationModels.dense, steps: 200 })).stateHash;
  const state = await stateOf(seed);
  expect(await stateOf(seed)).toBe(state);
  expect(await stateOf(seed + 1)).not.toBe(state);
});
