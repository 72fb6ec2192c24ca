import { defineConfig } from 'vitest/config';

const conditions = ['source'];

export default defineConfig({
  ssr: { resolve: { conditions, externalConditions: conditions } },
  resolve: { conditions },
  test: {
    reporters: ['default', './test/plain-summary.ts'],
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['packages/*/test/**/*.test.ts', 'test/*.test.ts'],
          testTimeout: 30_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'integration',
          include: ['test/{integration,simulation}/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          // They wait more than they work: for leases to lapse, for processes to start.
          maxWorkers: 2,
          // Not beside the unit tests, which keep all cores busy.
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: 'compose',
          include: ['test/compose/**/*.test.ts'],
          testTimeout: 240_000,
          hookTimeout: 120_000,
          fileParallelism: false,
          // After all others: what they need is being prepared meanwhile (.ci/run).
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
