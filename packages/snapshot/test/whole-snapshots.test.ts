import { type BlobStore, createMemoryBlobs } from '@millrace/runtime';
import { beforeEach, expect, test } from 'vitest';
import { type Archive, createArchive } from '../src/archive.ts';
import { capturePartition } from '../src/capture.ts';
import { foldOf } from '../src/restore.ts';
import { snapshotPath } from '../src/snapshot-name.ts';
import { createWholeSnapshots, fullSnapshotsMin } from '../src/whole-snapshots.ts';
import { apply, emptyState, identity } from './small-state.ts';

const of = foldOf(identity);
const state = emptyState();

let shared: BlobStore;
let archive: Archive;
let damages: string[];
let readings: string[];

beforeEach(() => {
  shared = createMemoryBlobs();
  damages = [];
  readings = [];
  const { get } = shared;
  shared.get = (name) => {
    readings.push(name);
    return get(name);
  };
  archive = createArchive({
    stores: [{ name: 'shared', blobs: shared }],
    onDamaged: (_store, path) => damages.push(path),
  });
});

async function write(): Promise<number> {
  apply(state, [[1, 2, 3]]);
  await archive.write('shared', of, { sequence: state.sequence, base: null }, [
    ...capturePartition(state, null),
  ]);
  return state.sequence;
}

const pathOf = (sequence: number) => snapshotPath(of, { sequence, base: null });

test('whole snapshots: the oldest of the newest; nobody while there are fewer; each is read once', async () => {
  const whole = createWholeSnapshots(archive, 'shared', of);
  const first = await write();
  expect(await whole.oldestOf(2)).toBeNull();
  const second = await write();
  expect(await whole.oldestOf(2)).toBe(first);
  const third = await write();
  expect([await whole.oldestOf(2), await whole.oldestOf(3)]).toEqual([second, first]);
  expect(readings).toEqual([first, second, third].map(pathOf).concat(pathOf(first)));
});

test('whole snapshots: one that is damaged takes nobody’s place', async () => {
  const [first, second, third] = [await write(), await write(), await write()];
  await shared.put(pathOf(second), [new Uint8Array(60)]);
  expect(await createWholeSnapshots(archive, 'shared', of).oldestOf(2)).toBe(first);
  expect([damages, third]).toEqual([[pathOf(second)], second + 1]);
});

test('whole snapshots: nothing may be forgotten for the last one alone', async () => {
  const whole = createWholeSnapshots(archive, 'shared', of);
  await write();
  await expect(whole.oldestOf(fullSnapshotsMin - 1)).rejects.toThrow('at least 2 full snapshots are kept');
});
