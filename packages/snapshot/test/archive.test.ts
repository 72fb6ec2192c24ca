import { changedCount, clearChanged, denseHash, type PartitionState, partitionHash } from '@millrace/core';
import { MillraceError } from '@millrace/protocol';
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

async function damage(
  blobs: BlobStore,
  path: string,
  change: (bytes: Uint8Array) => Uint8Array,
): Promise<void> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of (await blobs.get(path))!) chunks.push(chunk);
  await blobs.put(path, [change(new Uint8Array(Buffer.concat(chunks)))]);
}

/** A store that is out of reach. */
function unreachable(): BlobStore {
  const fail = async () => {
    throw new MillraceError('MILL_STORE_UNAVAILABLE', 'out of reach');
  };
  return { put: fail, get: fail, delete: fail, list: fail };
}

function pathOf(sequence: number, base: number | null): string {
  return snapshotPath(of, { sequence, base });
}

async function restoredSequence(from: Archive = archive, options = {}): Promise<number | null> {
  return (await from.restorePartition(identity, options))?.sequence ?? null;
}

/** Full at 1, deltas at 2 and 3, full at 4, delta at 5; hashes by sequence. */
async function writeFive(store: string): Promise<string[]> {
  const state = emptyState();
  const hashes: string[] = [''];
  for (const base of [null, 1, 2, null, 4]) {
    apply(state, [[state.sequence, 7, 8]]);
    await write(store, state, base);
    hashes.push(partitionHash(state));
  }
  return hashes;
}

test('archive: a flipped byte anywhere in the newest delta is told of, and the state before it is given', async () => {
  const hashes = await writeFive('own');
  const path = pathOf(5, 4);
  const chunks: Uint8Array[] = [];
  for await (const chunk of (await own.get(path))!) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  expect(bytes.length).toBeGreaterThan(400);
  for (let at = 0; at < bytes.length; at += 1) {
    damages.length = 0;
    bytes[at] ^= 0xff;
    await own.put(path, [bytes]);
    bytes[at] ^= 0xff;
    const restored = (await archive.restorePartition(identity))!;
    // The hash is dear; a wrong state at the right sequence shows in one place of many.
    const isRight = restored.sequence === 4 && (at % 16 > 0 || partitionHash(restored) === hashes[4]);
    if (!isRight || damages.length !== 1 || damages[0] !== `own ${path} MILL_SNAPSHOT_INVALID`)
      expect.fail(`byte ${at}: at ${restored.sequence}, told of ${damages.join(', ')}`);
  }
  damages.length = 0;
  await own.put(path, [bytes]);
  expect(partitionHash((await archive.restorePartition(identity))!)).toBe(hashes[5]);
  expect(damages).toEqual([]);
}, 60_000);

test('archive: damage upon damage: each is passed over for the next older state that is whole', async () => {
  const hashes = await writeFive('own');
  const cut = (bytes: Uint8Array) => bytes.slice(0, -1);
  await damage(own, pathOf(4, null), cut);
  expect(partitionHash((await archive.restorePartition(identity))!)).toBe(hashes[3]);
  // The delta at 5 has no base any more; it is not damaged itself.
  expect(damages).toEqual([`own ${pathOf(4, null)} MILL_SNAPSHOT_INVALID`]);
  await damage(own, pathOf(2, 1), cut);
  damages.length = 0;
  expect(partitionHash((await archive.restorePartition(identity))!)).toBe(hashes[1]);
  expect(damages).toEqual([4, 2].map((at) => `own ${pathOf(at, at === 4 ? null : 1)} MILL_SNAPSHOT_INVALID`));
  await damage(own, pathOf(1, null), () => new Uint8Array(0));
  expect(await archive.restorePartition(identity)).toBeNull();
});

test('archive: a damaged one in the nearer store is replaced by the one in the farther', async () => {
  const hashes = await writeFive('own');
  await writeFive('shared');
  for (const [sequence, base] of [
    [5, 4],
    [4, null],
  ] as const) {
    damages.length = 0;
    await damage(own, pathOf(sequence, base), (bytes) => bytes.subarray(1));
    expect(partitionHash((await archive.restorePartition(identity))!)).toBe(hashes[5]);
    expect(damages).toContain(`own ${pathOf(sequence, base)} MILL_SNAPSHOT_INVALID`);
  }
  await damage(shared, pathOf(5, 4), (bytes) => bytes.subarray(1));
  expect(partitionHash((await archive.restorePartition(identity))!)).toBe(hashes[4]);
});

test('archive: a snapshot that lies under another name is damaged', async () => {
  await writeFive('own');
  const chunks: Uint8Array[] = [];
  for await (const chunk of (await own.get(pathOf(1, null)))!) chunks.push(chunk);
  await own.put(pathOf(9, null), chunks);
  expect(await restoredSequence()).toBe(5);
  expect(damages).toEqual([`own ${pathOf(9, null)} MILL_SNAPSHOT_INVALID`]);
});

test('archive: atMost: the newest at or below it', async () => {
  const hashes = await writeFive('shared');
  for (const [atMost, wanted] of [
    [5, 5],
    [4, 4],
    [3, 3],
    [2, 2],
    [1, 1],
    [99, 5],
  ])
    expect(partitionHash((await archive.restorePartition(identity, { atMost }))!)).toBe(hashes[wanted]);
  expect(await archive.restorePartition(identity, { atMost: 0 })).toBeNull();
});

test('archive: atLeast: older states are of no use', async () => {
  await writeFive('own');
  expect(await restoredSequence(archive, { atLeast: 5 })).toBe(5);
  expect(await restoredSequence(archive, { atLeast: 6 })).toBeNull();
  await damage(own, pathOf(5, 4), (bytes) => bytes.subarray(1));
  expect(await restoredSequence(archive, { atLeast: 5 })).toBeNull();
  expect(await restoredSequence(archive, { atLeast: 4 })).toBe(4);
});

test('archive: atLeast: the full one that the log was trimmed for is found though a listing lags behind', async () => {
  const hashes = await writeFive('own');
  const listing = await own.list('');
  const earlier = listing.filter(({ name }) => name === pathOf(1, null));
  const lagging: BlobStore = { ...own, list: async () => earlier };
  const late = createArchive({
    stores: [
      { name: 'own', blobs: createMemoryBlobs() },
      { name: 'shared', blobs: lagging },
    ],
    onDamaged: () => expect.fail('it is not damaged'),
  });
  const restored = await late.restorePartition(identity, { atLeast: 4 });
  expect(partitionHash(restored!)).toBe(hashes[4]);
  // That nothing lies at another sequence is no fault of the store.
  expect(await restoredSequence(late, { atLeast: 3 })).toBeNull();
});

test('archive: onRows: rows read so far, over the whole chain', async () => {
  await writeFive('own');
  const seen: number[] = [];
  await archive.restorePartition(identity, { atMost: 2, onRows: (rows) => seen.push(rows) });
  // Keys 0, 7, 8 of three tables, then keys 1, 7, 8.
  expect(seen).toEqual([3, 6, 9, 12, 15, 18]);
});

test('archive: a store out of reach: another gives the state; where none does, it is said', async () => {
  const archiveOf = (...blobs: BlobStore[]) =>
    createArchive({
      stores: blobs.map((store, i) => ({ name: `${i}`, blobs: store })),
      onDamaged: (store, path) => damages.push(`${store} ${path}`),
    });
  await writeFive('own');
  const unavailable = { code: 'MILL_STORE_UNAVAILABLE' };
  expect(await restoredSequence(archiveOf(unreachable(), own))).toBe(5);
  expect(await restoredSequence(archiveOf(own, unreachable()))).toBe(5);
  await expect(archiveOf(unreachable()).restorePartition(identity)).rejects.toMatchObject(unavailable);
  await expect(
    archiveOf(createMemoryBlobs(), unreachable()).restorePartition(identity),
  ).rejects.toMatchObject(unavailable);
  // What it has is too old, and the store that cannot be asked may have more.
  const both = archiveOf(own, unreachable());
  await expect(both.restorePartition(identity, { atLeast: 6 })).rejects.toMatchObject(unavailable);
  await expect(archiveOf(unreachable()).restoreDense(denseState())).rejects.toMatchObject(unavailable);
  expect(damages).toEqual([]);
});

test('archive: a store that breaks off in the middle: another way is found, else it is said', async () => {
  const hashes = await writeFive('own');
  await writeFive('shared');
  async function* breakingOff(path: string) {
    for await (const chunk of (await own.get(path))!) yield chunk.subarray(0, 100);
    throw new MillraceError('MILL_STORE_UNAVAILABLE', 'it broke off');
  }
  const broken: BlobStore = { ...own, get: async (path) => breakingOff(path) };
  const stores = [
    { name: 'own', blobs: broken },
    { name: 'shared', blobs: shared },
  ];
  const onDamaged = () => expect.fail('it is not damaged');
  const restored = await createArchive({ stores, onDamaged }).restorePartition(identity);
  expect(partitionHash(restored!)).toBe(hashes[5]);
  const alone = createArchive({ stores: stores.slice(0, 1), onDamaged });
  await expect(alone.restorePartition(identity)).rejects.toMatchObject({ code: 'MILL_STORE_UNAVAILABLE' });
});

test('archive: a snapshot pruned away between the listing and the reading is no damage', async () => {
  const hashes = await writeFive('own');
  await writeFive('shared');
  const pruning: BlobStore = {
    ...own,
    get: async (path) => {
      await own.delete(path);
      return own.get(path);
    },
  };
  const stores = [
    { name: 'own', blobs: pruning },
    { name: 'shared', blobs: shared },
  ];
  const onDamaged = () => expect.fail('it is not damaged');
  const restored = await createArchive({ stores, onDamaged }).restorePartition(identity);
  expect(partitionHash(restored!)).toBe(hashes[5]);
});

test('archive: a defect of a store comes out', async () => {
  const broken: BlobStore = {
    ...own,
    list: async () => {
      throw new TypeError('a defect');
    },
  };
  const other = createArchive({ stores: [{ name: 'own', blobs: broken }], onDamaged: () => undefined });
  await expect(other.restorePartition(identity)).rejects.toThrow(TypeError);
});

test('archive: dense: the newest whole one at or below a sequence, else the state stays', async () => {
  const state = denseState();
  const hashes: string[] = [];
  for (const count of [2, 3]) {
    applyDenseBlocks(state, count);
    await archive.write('shared', denseOf, { sequence: state.sequence, base: null }, [
      ...captureDense(state),
    ]);
    hashes.push(denseHash(state));
  }
  const restoredHash = async (options = {}) => {
    const into = denseState();
    return (await archive.restoreDense(into, options)) ? denseHash(into) : null;
  };
  expect([
    await restoredHash(),
    await restoredHash({ atMost: 4 }),
    await restoredHash({ atMost: 1 }),
  ]).toEqual([hashes[1], hashes[0], null]);
  const path = snapshotPath(denseOf, { sequence: 5, base: null });
  await damage(shared, path, (bytes) => bytes.subarray(0, bytes.length - 4));
  expect(await restoredHash()).toBe(hashes[0]);
  expect(damages).toEqual([`shared ${path} MILL_SNAPSHOT_INVALID`]);
  await shared.delete(snapshotPath(denseOf, { sequence: 2, base: null }));
  const untouched = denseState();
  const before = denseHash(untouched);
  expect(await archive.restoreDense(untouched)).toBe(false);
  expect(denseHash(untouched)).toBe(before);
});

test('archive: list: newest first, of one fold and store alone', async () => {
  await writeFive('own');
  await own.put(snapshotPath({ ...of, fold: 30 }, { sequence: 9, base: null }), []);
  await own.put(`${snapshotPath(of, { sequence: 9, base: null })}.txt`, []);
  expect((await archive.list('own', of)).map(({ sequence, base }) => [sequence, base])).toEqual([
    [5, 4],
    [4, null],
    [3, 2],
    [2, 1],
    [1, null],
  ]);
  expect(await archive.list('shared', of)).toEqual([]);
  await expect(archive.list('elsewhere', of)).rejects.toThrow(/no snapshot store "elsewhere"/);
});

test('archive: prune: the newest full ones and what builds on them stay, in one store', async () => {
  const hashes = await writeFive('own');
  await writeFive('shared');
  await archive.prune('own', of, 1);
  expect((await own.list('')).length).toBe(5);
  await archive.prune('own', of, 4);
  expect((await archive.list('own', of)).map(({ sequence }) => sequence)).toEqual([5, 4]);
  expect((await shared.list('')).length).toBe(5);
  const alone = createArchive({ stores: [{ name: 'own', blobs: own }], onDamaged: () => undefined });
  expect(partitionHash((await alone.restorePartition(identity))!)).toBe(hashes[5]);
  await archive.prune('own', { ...of, fold: 1 }, 9);
  expect((await own.list('')).length).toBe(2);
});

test('archive: prune: the last full one stays whatever is asked for', async () => {
  await writeFive('own');
  await archive.prune('own', of, 99);
  expect((await own.list('')).length).toBe(5);
  await archive.prune('own', of, 4);
  await archive.prune('own', of, 5);
  expect((await archive.list('own', of)).map(({ sequence }) => sequence)).toEqual([5, 4]);
});

test('archive: isWhole: every flipped byte, every end and another’s name are found, and told of', async () => {
  await writeFive('own');
  const name = { sequence: 4, base: null };
  const path = pathOf(4, null);
  expect(await archive.isWhole('own', of, name)).toBe(true);
  expect(await archive.isWhole('shared', of, name)).toBe(false);
  expect(damages).toEqual([]);
  const chunks: Uint8Array[] = [];
  for await (const chunk of (await own.get(path))!) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  for (let at = 0; at < bytes.length; at += 1) {
    bytes[at] ^= 0xff;
    await own.put(path, [bytes]);
    bytes[at] ^= 0xff;
    expect([at, await archive.isWhole('own', of, name)]).toEqual([at, false]);
  }
  expect(damages.length).toBe(bytes.length);
  await own.put(path, [bytes.subarray(0, bytes.length - 1)]);
  expect(await archive.isWhole('own', of, name)).toBe(false);
  await own.put(pathOf(9, null), [bytes]);
  expect(await archive.isWhole('own', of, { sequence: 9, base: null })).toBe(false);
});
