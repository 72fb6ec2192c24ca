/** The command: runs seeds, tells which are broken, and sums up. Started by scripts/simulate.mjs. */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { runMutants } from './mutant-run.ts';
import { mutants } from './mutants.ts';
import type { SimulationReport } from './simulation.ts';
import { runSeeds } from './simulation-pool.ts';
import { failureLines, summaryLines, summaryOf } from './simulation-summary.ts';

const usage = `npm run simulate -- [--seeds 100] [--from 1] [--only 3,14] [--steps 200] [--json] [--workers n]
SEED=17 npm run simulate -- [--trace]           one seed again; --trace prints what happens
npm run simulate -- --mutant NAME | all         plants a bug and runs seeds until its invariant is named; \`list\` lists them`;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string' },
    from: { type: 'string', default: '1' },
    only: { type: 'string' },
    steps: { type: 'string', default: '200' },
    workers: { type: 'string' },
    json: { type: 'boolean', default: false },
    trace: { type: 'boolean', default: false },
    mutant: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
const replayed = process.env.SEED;
const steps = Number(values.steps);
const workers = Number(values.workers ?? Math.min(8, availableParallelism()));
const print = (line: string) => void process.stdout.write(`${line}\n`);

if (values.help) print(usage);
else if (values.mutant === 'list') {
  for (const { name, invariant, file } of mutants) print(`${name.padEnd(34)} ${invariant.padEnd(8)} ${file}`);
} else if (values.mutant !== undefined) await plant(values.mutant);
else if (replayed !== undefined) await replay(Number(replayed));
else await runMany(seedsFrom(100));

function seedsFrom(countDefault: number): readonly number[] {
  if (values.only !== undefined) return values.only.split(',').map(Number);
  return Array.from({ length: Number(values.seeds ?? countDefault) }, (_, i) => Number(values.from) + i);
}

/** One seed in this process. */
async function replay(seed: number): Promise<void> {
  // Loaded for this alone: all else is done by workers.
  const { simulate } = await import('./simulation.ts');
  const report = await simulate({
    seed,
    steps,
    ...(values.trace && {
      onNote: (atMs: number, text: string) => print(`${atMs.toFixed(1).padStart(9)}  ${text}`),
      onLog: (line: string) => void process.stdout.write(`           ${line}`),
    }),
  });
  if (values.json) print(JSON.stringify(report));
  else {
    if (report.violations.length > 0) print(failureLines(report, steps));
    print(summaryLines(summaryOf([report])));
    print(`trace ${report.traceHash}`);
  }
  if (report.violations.length > 0) process.exitCode = 1;
}

async function runMany(seeds: readonly number[]): Promise<void> {
  const reports: SimulationReport[] = [];
  const beganMs = performance.now();
  const counter = startCounter(seeds.length);
  await runSeeds({
    seeds,
    steps,
    until: null,
    workers,
    mutant: null,
    onReport(report) {
      reports.push(report);
      counter.show(reports.length);
      if (report.violations.length > 0 && !values.json) {
        counter.end();
        print(failureLines(report, steps));
      }
      return true;
    },
  });
  counter.end();
  const seconds = (performance.now() - beganMs) / 1_000;
  const summary = summaryOf(reports);
  if (values.json) {
    const failed = summary.failed.map(({ seed, violations }) => ({ seed, violations }));
    print(JSON.stringify({ ...summary, failed, steps, seconds, seedsPerSecond: seeds.length / seconds }));
  } else {
    print(summaryLines(summary));
    print(`${seconds.toFixed(1)} s, ${(seeds.length / seconds).toFixed(2)} seeds/s`);
  }
  if (summary.failed.length > 0) process.exitCode = 1;
}

/** Each by the seed that found it before, then by the others. Code 1 when a planted bug was not found. */
async function plant(name: string): Promise<void> {
  const chosen = mutants.filter((mutant) => name === 'all' || mutant.name === name);
  if (chosen.length === 0) throw new Error(`there is no mutant ${name}; --mutant list lists them`);
  const others = seedsFrom(30);
  const counter = startCounter(chosen.length);
  let ended = 0;
  const runs = await runMutants(chosen, {
    seeds: ({ seed }) => (values.only === undefined ? [...new Set([seed, ...others])] : others),
    steps,
    workers,
    onRun({ name: mutant, invariant, caughtBy, seeds, named }) {
      ended += 1;
      counter.end();
      const how = caughtBy === null ? `NOT FOUND in ${seeds} seeds` : `found by seed ${caughtBy}`;
      if (!values.json)
        print(`${mutant.padEnd(34)} ${invariant.padEnd(8)} ${how}; named: ${named.join(', ') || 'nothing'}`);
      counter.show(ended);
    },
  });
  counter.end();
  if (values.json) print(JSON.stringify(runs));
  if (runs.some(({ caughtBy }) => caughtBy === null)) process.exitCode = 1;
}

/** A counter on a terminal; nothing elsewhere. */
function startCounter(of: number): { show(done: number): void; end(): void } {
  if (!process.stderr.isTTY) return { show() {}, end() {} };
  const clear = '\r\x1b[2K';
  return {
    show: (done) => void process.stderr.write(`${clear}${done}/${of}`),
    end: () => void process.stderr.write(clear),
  };
}
