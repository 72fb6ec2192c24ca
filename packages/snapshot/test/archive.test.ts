import { changedCount, clearChanged, denseHash, type PartitionState, partitionHash } from '@millrace/core';
import type { MillraceError } from '@millrace/protocol';
import { type BlobStore, createMemoryBlobs } from '@millrace/runtime';
import { beforeEach, expect, test } from 'vitest';
import { type Archive, createArchive } from '../src/archive.ts';
import { captureDense, capturePartition } from '../src/capture.ts';
import { foldOf } from '../src/restore.ts';
import { snapshotPath } from '../src/snapshot-name.ts';
import { apply, applyDenseBlocks, denseState, emptyState, identity } from './small-state.ts';

const of = foldOf(identity);
const denseOf = { ...of, fold: 'dense' as const };

let own: BlobStore;
let shared: BlobStore;
let archive: Archive;
let damages: string[];

beforeEach(() => {
  own = createMemoryBlobs();
  shared = createMemoryBlobs();
  damages = [];
  archive = createArchive({
    stores: [
      { name: 'own', blobs: own },
      { name: 'shared', blobs: shared },
    ],
    onDamaged: (store, path, error: MillraceError) => damages.push(`${store} ${path} ${error.code}`),
  });
});

async function write(store: string, state: PartitionState, base: number | null): Promise<void> {
  const blocks = [...capturePartition(state, base)];
  for (const table of state.tables) clearChanged(table);
  await archive.write(store, of, { sequence: state.sequence, base }, blocks);
}

test('archive: a full snapshot and two deltas give the state, and the log goes on from it', async () => {
  const state = emptyState();
  apply(state, [[1, 2, 3], [2]]);
  await write('shared', state, null);
  apply(state, [[3, 4]], 'v');
  await write('shared', state, 2);
  apply(state, [[4, 9], [1]]);
  await write('own', state, 3);

  const restored = await archive.restorePartition(identity);
  expect(partitionHash(restored!)).toBe(partitionHash(state));
  expect(restored!.counts).toEqual(state.counts);
  expect(restored!.tables.map(changedCount)).toEqual([0, 0, 0]);
  apply(state, [[2, 17]]);
  apply(restored!, [[2, 17]]);
  expect(partitionHash(restored!)).toBe(partitionHash(state));
});

test('archive: nothing there is null', async () => {
  expect(await archive.restorePartition(identity)).toBeNull();
  expect(await archive.restoreDense(denseState())).toBe(false);
});

test('archive: dense: a snapshot is put into the state', async () => {
  const state = denseState();
  applyDenseBlocks(state, 3);
  await archive.write('shared', denseOf, { sequence: 3, base: null }, [...captureDense(state)]);
  const restored = denseState();
  expect(await archive.restoreDense(restored)).toBe(true);
  expect(denseHash(restored)).toBe(denseHash(state));
  applyDenseBlocks(state, 1);
  applyDenseBlocks(restored, 1);
  expect(denseHash(restored)).toBe(denseHash(state));
});

test('archive: a damaged delta is told of and passed over for the state before it', async () => {
  const state = emptyState();
  apply(state, [[1, 2, 3]]);
  await write('own', state, null);
  const hash = partitionHash(state);
  apply(state, [[3, 4]]);
  await write('own', state, 1);
  const path = snapshotPath(of, { sequence: 2, base: 1 });
  const chunks: Uint8Array[] = [];
  for await (const chunk of (await own.get(path))!) chunks.push(chunk);
  chunks[0][40] ^= 1;
  await own.put(path, chunks);

  expect(partitionHash((await archive.restorePartition(identity))!)).toBe(hash);
  expect(damages).toEqual([`own ${path} MILL_SNAPSHOT_INVALID`]);
});
