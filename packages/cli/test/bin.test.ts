/** The command's first process, which starts the one that does the work. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const bin = fileURLToPath(new URL('../bin/millrace.mjs', import.meta.url));

/** How the command ends when `code` runs in the process that does the work, before anything else there. */
async function endAfter(code: string): Promise<readonly unknown[]> {
  const hook = `data:text/javascript,if (process.argv[1].includes('main.')) { ${code} }`;
  return once(spawn(process.execPath, ['--import', hook, bin, '--help'], { stdio: 'ignore' }), 'exit');
}

test.each(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGKILL'] as const)(
  'command: ends by %s when what it started was ended by it',
  async (signal) => {
    expect(await endAfter(`process.kill(process.pid, '${signal}'); setInterval(() => {}, 1000)`)).toEqual([
      null,
      signal,
    ]);
  },
);

test('command: ends with the code of what it started', async () => {
  expect(await endAfter('process.exit(7)')).toEqual([7, null]);
});
