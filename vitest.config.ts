import { defineConfig } from 'vitest/config';

const conditions = ['source'];
/** Tests that look at what the first use of a library does to its process. */
const aloneInProcess = ['packages/model/test/tfjs-backends.test.ts'];

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
          exclude: aloneInProcess,
          // A machine that is busy with other work makes a second of work last ten.
          testTimeout: 30_000,
          // All files of a worker share its modules: loading them anew for each file takes twice as long as all tests together.
          isolate: false,
          maxWorkers: '100%',
        },
      },
      { extends: true, test: { name: 'unit-alone', include: aloneInProcess, maxWorkers: '100%' } },
      {
        extends: true,
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
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
      {
        extends: true,
        test: {
          name: 'simulation',
          include: ['test/simulation/**/*.test.ts'],
          testTimeout: 120_000,
          // Each keeps all cores busy, and what runs beside waits by the clock.
          fileParallelism: false,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
});
