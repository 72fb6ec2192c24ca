/** Runs seeds in processes of their own, several at a time; a mutant is patched in while such a process loads its sources. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Mutant } from './mutants.ts';
import type { SimulationReport } from './simulation.ts';
import type { SeedOrder } from './simulation-worker.ts';

export interface PoolOptions {
  readonly seeds: readonly number[];
  readonly steps: number;
  /** A run ends as soon as this invariant is broken; null: each runs to its end. */
  readonly until: string | null;
  readonly workers: number;
  readonly mutant: Mutant | null;
  /** Told of each report as it comes; false: no more seeds are wanted. */
  readonly onReport: (report: SimulationReport) => boolean;
}

/** `.ts` where the sources run, `.js` where the built tree does; workers run from the same. */
const ending = extname(import.meta.url);
const worker = fileURLToPath(new URL(`./simulation-worker${ending}`, import.meta.url));
const loader = ending === '.ts' ? ['--conditions=source', '--import', 'tsx/esm'] : [];
const hooks = new URL('../../../../scripts/mutant-hooks.mjs', import.meta.url).href;

/** Resolves once all that was wanted has been told; throws when a worker ended before that. */
export async function runSeeds({
  seeds,
  steps,
  until,
  workers,
  mutant,
  onReport,
}: PoolOptions): Promise<void> {
  const left = [...seeds];
  const imports = [...(mutant === null ? [] : ['--import', hooks]), ...loader];
  const env = { ...process.env, SIMULATION_MUTANT: mutant === null ? '' : JSON.stringify(mutant) };
  const runAll = async (child: ChildProcess) => {
    const ended = once(child, 'exit').then(() => null);
    for (let seed = left.shift(); seed !== undefined; seed = left.shift()) {
      child.send({ seed, steps, until } satisfies SeedOrder);
      const answer = await Promise.race([nextMessage(child), ended]);
      if (answer === null) throw new Error(`a worker ended at seed ${seed}`);
      if (!onReport(answer)) left.length = 0;
    }
  };
  const children = Array.from({ length: Math.min(workers, seeds.length) }, () =>
    fork(worker, { execArgv: imports, env }),
  );
  try {
    await Promise.all(children.map(runAll));
  } finally {
    for (const child of children) child.kill();
  }
}

function nextMessage(child: ChildProcess): Promise<SimulationReport> {
  return new Promise((resolve) => {
    child.once('message', (message) => resolve(message as SimulationReport));
  });
}
