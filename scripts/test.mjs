/**
 * `npm test`: everything that can be checked, in the order in which it fails soonest: packages, types, lint, generated
 * documents, then all tests with a real nats-server. Arguments go to the test runner.
 */

import { findNatsServer } from './nats-server.mjs';
import { installPackages, requireNode, run } from './packages.mjs';

const say = (line) => process.stderr.write(`› ${line}\n`);
const inherit = { stdio: 'inherit' };

try {
  requireNode();
  await installPackages(say);
  process.env.MILL_NATS_SERVER = await findNatsServer({ say });
  say('type check');
  await run('npx', ['--no-install', 'tsc', '-b'], inherit);
  say('lint');
  await run('npx', ['--no-install', 'biome', 'check', '.'], inherit);
  say('generated documents');
  const docs = ['--conditions=source', '--import', 'tsx', 'scripts/docs.mjs', '--check'];
  await run(process.execPath, docs, inherit);
  say('tests');
  // The type check has built it; processes that tests start need not read their sources again.
  process.env.MILLRACE_TREE = 'built';
  await run('npx', ['--no-install', 'vitest', 'run', ...process.argv.slice(2)], inherit);
} catch (error) {
  say(error.message);
  process.exitCode = 1;
}
