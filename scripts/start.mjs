/**
 * `npm start`: from a fresh clone to a running demo. Installs the npm packages when they are missing, finds nats-server (or
 * installs it), then runs `millrace demo` with the arguments given.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { findNatsServer } from './nats-server.mjs';
import { installPackages, requireNode } from './packages.mjs';

const say = (line) => process.stderr.write(`› ${line}\n`);

try {
  requireNode();
  await installPackages(say);
  const natsServer = await findNatsServer({ say });
  const millrace = fileURLToPath(new URL('../packages/cli/bin/millrace.mjs', import.meta.url));
  const child = spawn(process.execPath, [millrace, 'demo', ...process.argv.slice(2)], {
    stdio: 'inherit',
    env: { ...process.env, MILL_NATS_SERVER: natsServer },
  });
  // Ctrl-C reaches the child too, which drains; this process waits for it.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  child.on('exit', (code, signal) => {
    process.exitCode = signal ? 1 : (code ?? 1);
  });
} catch (error) {
  say(error.message);
  process.exitCode = 1;
}
