/**
 * Runs the seeded simulations for longer than the tests do.
 *
 *   npm run simulate                                        seeds 1 to 100, each with every model
 *   npm run simulate -- [--from 1] [--seeds 100] [--steps 600]
 *   SEED=17 npm run simulate                                one seed again
 *
 * Ends with code 1 when something that must hold was broken; the line tells what, and the seed.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../packages/testkit/src/simulation/run-simulations.ts', import.meta.url));
const args = ['--conditions=source', '--import', 'tsx', main, ...process.argv.slice(2)];
const child = spawn(process.execPath, args, { stdio: 'inherit' });
child.once('exit', (code) => {
  process.exitCode = code ?? 1;
});
