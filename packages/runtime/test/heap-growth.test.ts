import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const churn = fileURLToPath(new URL('./heap-churn.ts', import.meta.url));

async function collectionsAt(percent: number): Promise<number> {
  const run = promisify(execFile)(process.execPath, [
    '--import',
    import.meta.resolve('tsx/esm'),
    churn,
    String(percent),
  ]);
  return JSON.parse((await run).stdout).collections;
}

test('a heap that may grow further is collected as a whole less often', async () => {
  const [near, far] = [await collectionsAt(20), await collectionsAt(400)];
  expect(near).toBeGreaterThanOrEqual(4);
  expect(far).toBeLessThanOrEqual(near / 2);
});
