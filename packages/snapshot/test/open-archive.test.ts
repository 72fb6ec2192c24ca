import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jsonBytes } from '@millrace/protocol';
import { type Bus, createMemoryBus } from '@millrace/runtime';
import { expect, onTestFinished, test } from 'vitest';
import { logIdentity } from '../src/log-identity.ts';
import { openStores } from '../src/open-archive.ts';

async function temporaryDirectory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'mill-stores-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

test('log identity: made once, the same for everybody, another for other logs', async () => {
  const bus = createMemoryBus();
  const [first, second] = await Promise.all([logIdentity(bus), logIdentity(bus)]);
  expect([second, await logIdentity(bus)]).toEqual([first, first]);
  expect(await logIdentity(createMemoryBus())).not.toBe(first);
});

test('log identity: one that is no name is refused', async () => {
  const bus = createMemoryBus();
  await (await bus.kv('trims')).put('log', jsonBytes({ id: '../elsewhere' }));
  await expect(logIdentity(bus)).rejects.toMatchObject({ code: 'MILL_RECORD_INVALID' });
});

test('stores: what settings name, nearest first', async () => {
  const bus = createMemoryBus();
  const ownDirectory = await temporaryDirectory();
  const namesOf = async (snapshotStore: string, own: string | null) =>
    (await openStores(bus, { snapshotStore, ownDirectory: own })).map(({ name }) => name);
  expect(await namesOf('nats', ownDirectory)).toEqual(['own', 'shared']);
  expect(await namesOf('none', ownDirectory)).toEqual(['own']);
  expect(await namesOf(await temporaryDirectory(), null)).toEqual(['shared']);
  expect(await namesOf('none', null)).toEqual([]);
});

test('stores: a directory that outlives its NATS shows nothing of it to the next one', async () => {
  const directory = await temporaryDirectory();
  const own = async (bus: Bus) => {
    const [store] = await openStores(bus, { snapshotStore: 'none', ownDirectory: directory });
    return store.blobs;
  };
  const bus = createMemoryBus();
  await (await own(bus)).put('ads/1', [Uint8Array.of(1)]);
  expect(await (await own(bus)).list('')).toEqual([{ name: 'ads/1', bytes: 1 }]);
  expect(await (await own(createMemoryBus())).list('')).toEqual([]);
});
