/** A process that runs the seeds it is sent, one after the other, and sends each report back. Started by simulation-pool.ts. */
import { simulate } from './simulation.ts';

export interface SeedOrder {
  readonly seed: number;
  readonly steps: number;
  readonly until: string | null;
}

// Most errors are expected ones, and nobody looks at where they were made.
Error.stackTraceLimit = 4;

process.on('message', ({ seed, steps, until }: SeedOrder) => {
  simulate({ seed, steps, until }).then(
    (report) => process.send?.(report),
    (error: unknown) => {
      process.stderr.write(`seed ${seed}: ${error instanceof Error ? error.stack : error}\n`);
      process.exit(1);
    },
  );
});
process.on('disconnect', () => process.exit(0));
