/**
 * Kills, stops and cuts off the parts of a running cluster under load, one after the other, and tells what was lost.
 *
 *   npm run chaos -- [--seconds 120] [--shards 3] [--inference 2] [--seed S] [--json]
 *                    [--only 'kill shard,stop nats-server'] [--logs DIRECTORY]
 *
 * With --json the last line of the standard output is one JSON object; progress goes to the standard error stream. Ends with
 * code 1 when a score failed, a block was lost or applied twice, or the owners of a partition differ.
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { findNatsServer } from './nats-server.mjs';
import { installPackages } from './packages.mjs';

const say = (line) => process.stderr.write(`› ${line}\n`);
await installPackages(say);
process.env.MILL_NATS_SERVER = await findNatsServer({ say });
const main = fileURLToPath(new URL('../packages/testkit/src/chaos/chaos-command.ts', import.meta.url));
const args = ['--conditions=source', '--import', 'tsx', main, ...process.argv.slice(2)];
const child = spawn(process.execPath, args, { stdio: 'inherit' });
// The terminal gives Ctrl-C to both; this process waits for what the run has to clear away.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => child.kill('SIGTERM'));
child.once('exit', (code, signal) => {
  process.exitCode = code ?? 128 + constants.signals[signal];
});
