/** The command: runs seeds, tells which are broken, and sums up. Started by scripts/simulate.mjs. */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { assertPatches, type Mutant, mutants } from './mutants.ts';
import { type SimulationReport, simulate } from './simulation.ts';
import { runSeeds } from './simulation-pool.ts';
import { failureLines, summaryLines, summaryOf } from './simulation-summary.ts';

const usage = `npm run simulate -- [--seeds 100] [--from 1] [--steps 200] [--json] [--workers n] [--mutant NAME]
SEED=17 npm run simulate -- [--trace]      one seed again; --trace prints what happens
npm run simulate -- --mutants              lists the planted bugs`;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string' },
    from: { type: 'string' },
    steps: { type: 'string', default: '200' },
    workers: { type: 'string' },
    json: { type: 'boolean', default: false },
    trace: { type: 'boolean', default: false },
    mutant: { type: 'string' },
    mutants: { type: 'boolean', default: false },
    /** With --mutant: ends at the first broken seed. */
    'until-broken': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const seed = process.env.SEED;
const steps = Number(values.steps);

if (values.help) process.stdout.write(`${usage}\n`);
else if (values.mutants) {
  for (const { name, invariant, file } of mutants)
    process.stdout.write(`${name.padEnd(32)} ${invariant}  ${file}\n`);
} else if (seed !== undefined && values.mutant === undefined && values.seeds === undefined)
  await replay(Number(seed));
else await runMany();

async function replay(one: number): Promise<void> {
  const print = (line: string) => process.stdout.write(`${line}\n`);
  const report = await simulate({
    seed: one,
    steps,
    ...(values.trace && {
      onNote: (atMs: number, text: string) => print(`${atMs.toFixed(1).padStart(9)}  ${text}`),
      onLog: (line: string) => process.stdout.write(`           ${line}`),
    }),
  });
  if (report.violations.length > 0) print(failureLines(report, steps));
  print(
    values.json
      ? JSON.stringify(report)
      : `${summaryLines(summaryOf([report]), 1)
          .split('\n')
          .slice(0, 3)
          .join('\n')}\ntrace ${report.traceHash}`,
  );
  if (report.violations.length > 0) process.exitCode = 1;
}

function mutantNamed(name: string | undefined): Mutant | null {
  if (name === undefined) return null;
  const mutant = mutants.find((known) => known.name === name);
  if (mutant === undefined) throw new Error(`there is no mutant ${name}; --mutants lists them`);
  assertPatches(mutant);
  return mutant;
}

async function runMany(): Promise<void> {
  const from = Number(values.from ?? seed ?? 1);
  const count = Number(values.seeds ?? 100);
  const mutant = mutantNamed(values.mutant);
  const workers = Number(values.workers ?? Math.max(1, Math.min(8, availableParallelism())));
  const reports: SimulationReport[] = [];
  const isTerminal = process.stderr.isTTY === true;
  const beganMs = performance.now();
  await runSeeds({
    seeds: Array.from({ length: count }, (_, i) => from + i),
    steps,
    workers,
    mutant,
    onReport(report) {
      reports.push(report);
      const isBroken = report.violations.length > 0;
      if (isTerminal) process.stderr.write(`\r\x1b[2K${reports.length}/${count} seeds`);
      if (isBroken && !values.json) {
        if (isTerminal) process.stderr.write('\r\x1b[2K');
        process.stdout.write(`${failureLines(report, steps)}\n`);
      }
      return !(isBroken && values['until-broken']);
    },
  });
  if (isTerminal) process.stderr.write('\r\x1b[2K');
  const seconds = (performance.now() - beganMs) / 1_000;
  const summary = summaryOf(reports.sort((a, b) => a.seed - b.seed));
  if (values.json) {
    const failed = summary.failed.map(({ seed: broken, violations }) => ({ seed: broken, violations }));
    process.stdout.write(
      `${JSON.stringify({ ...summary, failed, steps, seconds, seedsPerSecond: summary.seeds / seconds })}\n`,
    );
  } else process.stdout.write(`${summaryLines(summary, seconds)}\n`);
  if (summary.failed.length > 0) process.exitCode = 1;
}
