#!/usr/bin/env node
/**
 * Runs the `millrace` command from its TypeScript sources, so that a clone needs no build. Where the sources or tsx, which reads
 * them, are not there, the built tree (dist/) is run as it is; so it is with MILLRACE_TREE=built, which npm test sets once it
 * has built: each process then starts with a third of the work.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const source = fileURLToPath(new URL('../src/main.ts', import.meta.url));
const built = fileURLToPath(new URL('../dist/main.js', import.meta.url));
const args = process.argv.slice(2);
// Not all of tsx: its loader for CommonJS grows a WebAssembly memory in the process, after which V8 checks at every access to a
// typed array whether its memory is still there; that costs a shard a quarter of its lookup speed.
const wantsBuilt = process.env.MILLRACE_TREE === 'built';
const tsx = existsSync(source) && !wantsBuilt ? placeOf('tsx/esm') : null;
const flags = tsx === null ? [built] : ['--conditions=source', '--import', tsx, source];

const child = spawn(process.execPath, [...process.execArgv, ...flags, ...args], { stdio: 'inherit' });
// The terminal sends Ctrl-C to both; a signal sent to this process alone is handed on.
for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
process.on('SIGINT', () => {});
child.on('error', (error) => {
  process.stderr.write(`millrace: cannot start: ${error.message}\n`);
  process.exitCode = 1;
});
child.on('exit', (code, signal) => {
  if (signal) {
    // Ends as the child ended, which its own listener would keep it from.
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  } else process.exitCode = code ?? 1;
});

/** Where a package would be imported from; null when it is not installed. */
function placeOf(name) {
  try {
    return import.meta.resolve(name);
  } catch {
    return null;
  }
}
