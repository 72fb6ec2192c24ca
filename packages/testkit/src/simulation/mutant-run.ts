/** Runs seeds with a bug planted until a report names the invariant that it breaks. */
import { assertPatches, type Mutant } from './mutants.ts';
import type { SimulationReport } from './simulation.ts';
import { runSeeds } from './simulation-pool.ts';

export interface MutantRun {
  readonly name: string;
  readonly invariant: string;
  /** The seed that found it, null when none did. */
  readonly caughtBy: number | null;
  readonly seeds: number;
  /** Invariants that reports named on the way. */
  readonly named: readonly string[];
}

/** @throws when the mutant's text does not stand in its file exactly once. */
export async function runMutant(mutant: Mutant, seeds: readonly number[], steps: number): Promise<MutantRun> {
  assertPatches(mutant);
  const named = new Set<string>();
  let caughtBy: number | null = null;
  let run = 0;
  const onReport = ({ seed, violations }: SimulationReport) => {
    run += 1;
    for (const { invariant } of violations) named.add(invariant);
    if (named.has(mutant.invariant)) caughtBy ??= seed;
    return caughtBy === null;
  };
  const { name, invariant } = mutant;
  await runSeeds({ seeds, steps, until: invariant, workers: 1, mutant, onReport });
  return { name, invariant, caughtBy, seeds: run, named: [...named].sort() };
}

/** Runs several mutants, some at a time, and tells of each as it ends. */
export async function runMutants(
  mutants: readonly Mutant[],
  options: {
    readonly seeds: (mutant: Mutant) => readonly number[];
    readonly steps: number;
    readonly workers: number;
    readonly onRun: (run: MutantRun) => void;
  },
): Promise<readonly MutantRun[]> {
  const left = [...mutants];
  const runs: MutantRun[] = [];
  const work = async () => {
    for (let mutant = left.shift(); mutant !== undefined; mutant = left.shift()) {
      const run = await runMutant(mutant, options.seeds(mutant), options.steps);
      runs.push(run);
      options.onRun(run);
    }
  };
  await Promise.all(Array.from({ length: options.workers }, work));
  return runs;
}
