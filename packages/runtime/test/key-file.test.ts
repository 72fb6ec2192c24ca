import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { hashOfKey } from '../src/api-keys.ts';
import { createManualClock } from '../src/clock.ts';
import { openKeyFile } from '../src/key-file.ts';

const listOf = (...names: string[]) =>
  JSON.stringify(names.map((name) => ({ name, sha256: hashOfKey(`key of ${name}`), roles: ['score'] })));

async function open(text: string) {
  const directory = await mkdtemp(join(tmpdir(), 'mill-keys-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  const path = join(directory, 'keys.json');
  await writeFile(path, text);
  const clock = createManualClock(0);
  const lines: [string, object][] = [];
  const logger = {
    info: (fields: object, message: string) => void lines.push([message, fields]),
    error: (fields: object, message: string) => void lines.push([message, fields]),
  };
  const keys = await openKeyFile({ setting: 'MILL_API_KEYS_FILE', path, clock, logger });
  onTestFinished(() => keys.close());
  const isKnown = (name: string) =>
    keys.authorize({ key: `key of ${name}`, needs: 'any' }).kind === 'granted';
  return { keys, path, clock, lines, isKnown };
}

test('key file: a change is taken within a second, without a word of what it was', async () => {
  const { path, clock, lines, isKnown, keys } = await open(listOf('a'));
  expect([isKnown('a'), isKnown('b')]).toEqual([true, false]);
  await writeFile(path, listOf('b'));
  clock.advanceBy(1_000);
  await keys.reread();
  expect([isKnown('a'), isKnown('b')]).toEqual([false, true]);
  expect(lines).toEqual([['api keys changed', { keys: 1 }]]);
  await keys.reread();
  expect(lines).toHaveLength(1);
});

test('key file: what cannot be used is told once, and the keys before it stay', async () => {
  const { path, lines, isKnown, keys } = await open(listOf('a'));
  await writeFile(path, '[{');
  await keys.reread();
  await keys.reread();
  expect(isKnown('a')).toBe(true);
  await rm(path);
  await keys.reread();
  expect(isKnown('a')).toBe(true);
  expect(lines.map(([message]) => message)).toEqual([
    'api keys not read, those before stay',
    'api keys not read, those before stay',
  ]);
  await writeFile(path, listOf('a', 'c'));
  await keys.reread();
  expect([isKnown('a'), isKnown('c'), lines.length]).toEqual([true, true, 3]);
});

test('key file: it goes on being read, and no longer after its close', async () => {
  const { clock, keys } = await open(listOf('a'));
  for (let i = 0; i < 3; i += 1) {
    clock.advanceBy(1_000);
    await keys.reread();
    // The next round is set behind the read.
    await Promise.resolve();
    await Promise.resolve();
  }
  expect(clock.timersWaiting).toBe(1);
  await keys.close();
  expect(clock.timersWaiting).toBe(0);
});

test('key file: a start without a usable file fails, naming setting and file', async () => {
  const options = {
    setting: 'MILL_API_KEYS_FILE',
    clock: createManualClock(0),
    logger: { info() {}, error() {} },
  };
  await expect(openKeyFile({ ...options, path: '/nowhere/keys.json' })).rejects.toMatchObject({
    code: 'MILL_CONFIG_INVALID',
    message: expect.stringMatching(/^MILL_API_KEYS_FILE \(\/nowhere\/keys\.json\) cannot be read/),
  });
  await expect(open('{}')).rejects.toThrow(/^MILL_API_KEYS_FILE \(.*keys\.json\) must be a list/);
});
