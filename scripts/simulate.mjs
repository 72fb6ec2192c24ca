/**
 * Runs the deterministic simulation over many seeds, or one again.
 *
 *   npm run simulate                                        seeds 1 to 100
 *   npm run simulate -- [--seeds 100] [--from 1] [--steps 200] [--json] [--workers n]
 *   SEED=17 npm run simulate -- [--trace]                   one seed again, with all that happens
 *   npm run simulate -- --mutant NAME                       with a bug planted; --mutants lists them
 *
 * Ends with code 1 when something that must hold was broken; the line tells what, and how to see it again.
 */
import { spawn } from 'node:child_process';
import { nodeArgsFor } from './tree.mjs';

const args = [...nodeArgsFor('packages/testkit/src/simulation/run-simulations.ts'), ...process.argv.slice(2)];
const child = spawn(process.execPath, args, { stdio: 'inherit' });
child.once('exit', (code) => {
  process.exitCode = code ?? 1;
});
