/** The keys file as `millrace keys` changes it: read whole, written whole beside itself and put in its place. */
import { randomBytes } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { MillraceError, reasonFrom } from '@millrace/protocol';
import { type ApiKey, apiKeysFrom, hashOfKey } from '@millrace/runtime';

/** Keys of the file at `path`. @throws MILL_FILE_INVALID when it cannot be read, MILL_CONFIG_INVALID when it is no keys file. */
export async function readKeys(
  path: string,
  absent: 'none' | 'refused' = 'refused',
): Promise<readonly ApiKey[]> {
  try {
    return apiKeysFrom(await readFile(path, 'utf8'), path);
  } catch (cause) {
    if (cause instanceof MillraceError) throw cause;
    if (absent === 'none' && isAbsent(cause)) return [];
    throw new MillraceError('MILL_FILE_INVALID', `cannot read ${path}: ${reasonFrom(cause)}`, { cause });
  }
}

/** Adds a new key, and makes the file if there is none. @returns the key, which stands nowhere else. */
export async function addKey(path: string, wanted: Omit<ApiKey, 'sha256'>): Promise<string> {
  const before = await readKeys(path, 'none');
  // 256 bits. The front tells people, and scanners of published files, what it is.
  const key = `mill_${randomBytes(32).toString('base64url')}`;
  await writeKeys(path, [...before, { ...wanted, sha256: hashOfKey(key) }]);
  return key;
}

/** @throws MILL_FILE_INVALID when there is no key of that name. */
export async function removeKey(path: string, name: string): Promise<void> {
  const before = await readKeys(path);
  const after = before.filter((key) => key.name !== name);
  if (after.length === before.length)
    throw new MillraceError('MILL_FILE_INVALID', `${path} has no key named ${JSON.stringify(name)}`);
  await writeKeys(path, after);
}

/** A process that reads meanwhile sees the list before or after, never half of it. */
async function writeKeys(path: string, keys: readonly ApiKey[]): Promise<void> {
  const text = `${JSON.stringify(keys, null, 2)}\n`;
  apiKeysFrom(text, path);
  const beside = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    await writeFile(beside, text, { mode: 0o600, flag: 'wx' });
    await rename(beside, path);
  } catch (cause) {
    await rm(beside, { force: true });
    throw new MillraceError('MILL_FILE_INVALID', `cannot write ${path}: ${reasonFrom(cause)}`, { cause });
  }
}

function isAbsent(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
