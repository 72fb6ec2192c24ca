/**
 * Runs a benchmark, each a file packages/bench/src/NAME.ts.
 *
 *   npm run bench                                        lists them
 *   npm run bench -- NAME [--json] [--smoke] [options]   runs one; --help tells its options
 *
 * With --json the last line of the standard output is one JSON object; progress goes to the standard error stream.
 */
import { spawn } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installPackages, run } from './packages.mjs';
import { nodeArgsFor } from './tree.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const sources = join(root, 'packages/bench/src');

async function benchmarks() {
  const files = await readdir(sources);
  return files
    .filter((file) => file.endsWith('.ts') && file !== 'index.ts')
    .map((file) => file.slice(0, -3))
    .sort();
}

/** The first sentence of the comment that a benchmark opens with. */
async function summaryOf(name) {
  const text = await readFile(join(sources, `${name}.ts`), 'utf8');
  const comment = /^\/\*\*([\s\S]*?)\*\//.exec(text)?.[1] ?? '';
  const words = comment.replace(/\n\s*\*/g, ' ').replace(/\s+/g, ' ');
  return words.split(/(?<=[.:])\s/)[0].trim();
}

async function list(say) {
  say('npm run bench -- NAME [--json] [--smoke] [options]');
  for (const name of await benchmarks()) say(`  ${name.padEnd(12)} ${await summaryOf(name)}`);
}

/**
 * Runs one in a process of its own, so that its memory and its flags are its own; resolves to its exit code. It and all that it
 * starts run from the built tree, as where Millrace is installed: sources that are translated as they are loaded run slower.
 */
function runBuilt(name, options) {
  const args = [...nodeArgsFor(`packages/bench/src/${name}.ts`), ...options];
  const child = spawn(process.execPath, args, { cwd: root, stdio: 'inherit' });
  // The terminal gives Ctrl-C to both; this process waits for what the benchmark has to clear away.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal]));
  });
}

const [name, ...options] = process.argv.slice(2);
if (name === undefined || name === '--help') {
  await list(console.log);
} else if (!(await benchmarks()).includes(name)) {
  console.error(`There is no benchmark ${JSON.stringify(name)}.`);
  await list(console.error);
  process.exitCode = 2;
} else {
  const say = (line) => process.stderr.write(`› ${line}\n`);
  await installPackages(say);
  say('building');
  await run('npx', ['--no-install', 'tsc', '-b']);
  process.env.MILLRACE_TREE = 'built';
  process.exitCode = await runBuilt(name, options);
}
