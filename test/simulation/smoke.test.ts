/**
 * The production code of shards, inference node and updaters under seeded disorder. `SEED=… npx vitest run --project
 * integration test/simulation` runs one seed alone; a failure names its seed.
 */
import type { ModelFile } from '@millrace/protocol';
import { countingModel, type SimulationReport, simulate } from '@millrace/testkit';
import { expect, test } from 'vitest';

const steps = 600;
const seeds = process.env.SEED === undefined ? [1, 2, 3, 4] : [Number(process.env.SEED)];
const learning = { joinWindowMs: 2_000, batchDelayMs: 20, batchExamplesMax: 16 };

const models: readonly { readonly what: string; readonly file: ModelFile }[] = [
  { what: 'counts, negatives after the window', file: countingModel('sim', learning) },
  { what: 'counts, negatives at once', file: countingModel('sim', { ...learning, negatives: 'at-once' }) },
  { what: 'rows and dense weights', file: netModel() },
];
const runs = seeds.flatMap((seed) => models.map(({ what, file }) => ({ seed, what, file })));

test.for(runs)(
  'simulation: SEED=$seed: $what: each example once, the log is the truth',
  async ({ seed, file }) => {
    const report = await simulate({ seed, file, steps });
    process.stdout.write(`${lineFrom(report)}\n`);
    expect(report.violations).toEqual([]);
    // It was rough, and something was learned.
    expect(report.updaters).toBeGreaterThan(3);
    expect(report.batches).toBeGreaterThan(20);
    expect(report.clicks).toBeGreaterThan(steps / 10);
  },
);

test('simulation: the same seed ends in the same state, another seed in another', async () => {
  const [first, again, other] = [seeds[0], seeds[0], seeds[0] + 1].map((seed) => ({
    seed,
    file: netModel(),
    steps: 200,
  }));
  const { stateHash } = await simulate(first);
  expect((await simulate(again)).stateHash).toBe(stateHash);
  expect((await simulate(other)).stateHash).not.toBe(stateHash);
});

function lineFrom({ violations, stateHash, ...counts }: SimulationReport): string {
  const figures = Object.entries(counts).map(([name, value]) =>
    name === 'seed' ? `SEED=${value}` : `${name} ${value}`,
  );
  return `simulation: ${figures.join(', ')}, state ${stateHash.slice(0, 12)}`;
}

function netModel(): ModelFile {
  const optimizer = { type: 'adagrad', learningRate: 0.1 } as const;
  return {
    name: 'sim',
    label: 'click',
    item: 'item',
    partitions: 3,
    tables: [{ name: 'features', wide: { optimizer }, embedding: { dim: 4, optimizer } }],
    fields: [
      { name: 'user', type: 'sparse', scope: 'user', table: 'features' },
      { name: 'item', type: 'sparse', scope: 'item', table: 'features' },
    ],
    net: { wide: true, fm: true, layers: [{ units: 6 }] },
    loss: 'logloss',
    seed: 5,
    learning,
  };
}
