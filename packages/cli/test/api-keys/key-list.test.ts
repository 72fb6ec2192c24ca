import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createKeyedAccess, createManualClock, hashOfKey } from '@millrace/runtime';
import { expect, onTestFinished, test } from 'vitest';
import { addKey, readKeys, removeKey } from '../../src/api-keys/key-list.ts';

async function place(): Promise<{ readonly directory: string; readonly path: string }> {
  const directory = await mkdtemp(join(tmpdir(), 'mill-keys-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  return { directory, path: join(directory, 'keys.json') };
}

test('key list: a new key opens the door; the file keeps its hash alone, for its owner alone', async () => {
  const { directory, path } = await place();
  const key = await addKey(path, { name: 'shop', roles: ['score'], requestsPerSecond: 5 });
  expect(key).toMatch(/^mill_[A-Za-z0-9_-]{43}$/);
  const text = await readFile(path, 'utf8');
  expect(JSON.parse(text)).toEqual([
    { name: 'shop', roles: ['score'], requestsPerSecond: 5, sha256: hashOfKey(key) },
  ]);
  expect(text).not.toContain(key.slice(5));
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(await readdir(directory)).toEqual(['keys.json']);
  const access = createKeyedAccess(await readKeys(path), createManualClock(0));
  expect(access.authorize({ key, needs: 'score' })).toEqual({ kind: 'granted', name: 'shop' });
});

test('key list: two keys differ, one is removed by its name, the other stays', async () => {
  const { path } = await place();
  const [first, second] = [
    await addKey(path, { name: 'a', roles: ['score'] }),
    await addKey(path, { name: 'b', roles: ['admin'] }),
  ];
  expect(first).not.toBe(second);
  await removeKey(path, 'a');
  expect((await readKeys(path)).map(({ name }) => name)).toEqual(['b']);
});

test('key list: a name twice, an absent name, an absent file, a foreign file: refused, and nothing changes', async () => {
  const { path, directory } = await place();
  await expect(readKeys(path)).rejects.toMatchObject({ code: 'MILL_FILE_INVALID' });
  await expect(removeKey(path, 'a')).rejects.toMatchObject({ code: 'MILL_FILE_INVALID' });
  await addKey(path, { name: 'a', roles: ['score'] });
  const before = await readFile(path, 'utf8');
  await expect(addKey(path, { name: 'a', roles: ['admin'] })).rejects.toThrow(/name "a" stands twice/);
  await expect(removeKey(path, 'b')).rejects.toThrow(/has no key named "b"$/);
  expect(await readFile(path, 'utf8')).toBe(before);
  const foreign = join(directory, 'other.json');
  await writeFile(foreign, '{}');
  await expect(addKey(foreign, { name: 'a', roles: ['score'] })).rejects.toThrow(/must be a list/);
});
