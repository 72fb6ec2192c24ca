/** Whatever happens to the bytes of a snapshot is found out, wherever it happens, and nothing of it is taken for a state. */
import {
  clearChanged,
  type DenseState,
  denseHash,
  findOrAddRow,
  type PartitionState,
  partitionHash,
} from '@millrace/core';
import { isMillraceError } from '@millrace/protocol';
import { describe, expect, test } from 'vitest';
import { captureDense, capturePartition } from '../src/capture.ts';
import { restoreDenseInto, restoreInto } from '../src/restore.ts';
import type { SnapshotName } from '../src/snapshot-name.ts';
import { apply, applyDenseBlocks, chunked, denseState, emptyState } from './small-state.ts';

interface Taken {
  readonly blocks: readonly Uint8Array[];
  /** Restores given bytes as if they were the snapshot; gives the hash of the state. */
  readonly restore: (bytes: Uint8Array) => Promise<string>;
  /** Of the state that the snapshot was taken of. */
  readonly hash: string;
}

/** A state, the full snapshot of it and a delta on that. @param order of the rows in memory, which no log tells. */
function states(order: readonly number[] = []): { full: Taken; delta: Taken } {
  const state = emptyState();
  for (const table of state.tables) for (const key of order) findOrAddRow(table, key, 3 * key);
  apply(state, [[1, 2, 3]]);
  const full = takenOf(state, null, async () => emptyState());
  const fullBytes = Buffer.concat(full.blocks);
  apply(state, [[2, 9]]);
  const delta = takenOf(state, 1, async () => {
    const base = emptyState();
    await restoreInto(base, { sequence: 1, base: null }, chunked(fullBytes, 1_000), () => undefined);
    return base;
  });
  return { full, delta };
}

function takenOf(
  state: PartitionState,
  base: number | null,
  baseState: () => Promise<PartitionState>,
): Taken {
  const blocks = [...capturePartition(state, base)];
  for (const table of state.tables) clearChanged(table);
  const name: SnapshotName = { sequence: state.sequence, base };
  const restore = async (bytes: Uint8Array) => {
    const into = await baseState();
    await restoreInto(into, name, chunked(bytes, 1_000), () => undefined);
    return partitionHash(into);
  };
  return { blocks, restore, hash: partitionHash(state) };
}

function dense(): Taken & { into: DenseState } {
  const state = denseState();
  applyDenseBlocks(state, 3);
  const into = denseState();
  applyDenseBlocks(into, 1);
  const restore = async (bytes: Uint8Array) => {
    await restoreDenseInto(into, { sequence: 3, base: null }, chunked(bytes, 1_000));
    return denseHash(into);
  };
  return { blocks: [...captureDense(state)], restore, hash: denseHash(state), into };
}

const kinds: readonly { kind: string; take: () => Taken }[] = [
  { kind: 'a full snapshot', take: () => states().full },
  { kind: 'a delta', take: () => states().delta },
  { kind: 'a snapshot of dense weights', take: dense },
];

/** Fails unless the bytes are refused as damaged. */
async function expectRefused(taken: Taken, bytes: Uint8Array, what: string): Promise<void> {
  const found = await taken.restore(bytes).catch((error: unknown) => error);
  if (!isMillraceError(found, 'MILL_SNAPSHOT_INVALID')) expect.fail(`${what}: ${String(found)}`);
}

describe.each(kinds)('damage: $kind', ({ take }) => {
  test('damage: undamaged, it is restored', async () => {
    const taken = take();
    expect(await taken.restore(Buffer.concat(taken.blocks))).toBe(taken.hash);
  });

  test('damage: any one bit flipped, in every byte of it, is found out', async () => {
    const taken = take();
    const bytes = new Uint8Array(Buffer.concat(taken.blocks));
    for (let at = 0; at < bytes.length; at += 1) {
      for (let bit = 0; bit < 8; bit += 1) {
        bytes[at] ^= 1 << bit;
        await expectRefused(taken, bytes, `bit ${bit} of byte ${at} of ${bytes.length}`);
        bytes[at] ^= 1 << bit;
      }
    }
    expect(await taken.restore(bytes)).toBe(taken.hash);
  }, 60_000);

  test('damage: cut short at any length, or longer, it is refused', async () => {
    const taken = take();
    const bytes = Buffer.concat(taken.blocks);
    for (let length = 0; length < bytes.length; length += 1)
      await expectRefused(taken, bytes.subarray(0, length), `${length} of ${bytes.length} bytes`);
    for (const more of [1, 4, 15, 16, 400])
      await expectRefused(taken, Buffer.concat([bytes, Buffer.alloc(more)]), `${more} bytes more`);
    await expectRefused(taken, Buffer.concat([bytes, bytes]), 'twice');
    await expectRefused(taken, Buffer.concat([bytes, taken.blocks[1]]), 'a block behind the end');
  }, 60_000);

  test('damage: a block that is missing, twice there, or in the place of another is found out', async () => {
    const taken = take();
    const { blocks } = taken;
    for (const [i, block] of blocks.entries()) {
      await expectRefused(taken, Buffer.concat(blocks.toSpliced(i, 1)), `without block ${i}`);
      await expectRefused(taken, Buffer.concat(blocks.toSpliced(i, 0, block)), `block ${i} twice`);
      for (let j = i + 1; j < blocks.length; j += 1) {
        const swapped = [...blocks];
        [swapped[i], swapped[j]] = [blocks[j], block];
        await expectRefused(taken, Buffer.concat(swapped), `blocks ${i} and ${j} swapped`);
        await expectRefused(taken, Buffer.concat(blocks.with(i, blocks[j])), `block ${j} also for ${i}`);
      }
    }
  });
});

test('damage: blocks of another snapshot of the same partition are found out', async () => {
  const { full, delta } = states();
  expect(full.blocks.length).toBe(5);
  for (const [i, block] of delta.blocks.entries())
    await expectRefused(full, Buffer.concat(full.blocks.with(i, block)), `block ${i} of the delta`);
  for (const [i, block] of full.blocks.entries())
    await expectRefused(delta, Buffer.concat(delta.blocks.with(i, block)), `block ${i} of the full one`);
});

test('damage: blocks of another owner’s snapshot of the same state are found out, though their header is the same', async () => {
  const [mine, theirs] = [states().full, states([3, 1, 2]).full];
  expect(theirs.hash).toBe(mine.hash);
  expect(Buffer.compare(theirs.blocks[0], mine.blocks[0])).toBe(0);
  for (const i of [1, 2, 3, 4]) {
    expect(Buffer.compare(theirs.blocks[i], mine.blocks[i])).not.toBe(0);
    await expectRefused(mine, Buffer.concat(mine.blocks.with(i, theirs.blocks[i])), `block ${i}`);
  }
  // All of theirs is as good as mine.
  expect(await mine.restore(Buffer.concat(theirs.blocks))).toBe(mine.hash);
});

test('damage: a dense state stays as it is where the snapshot is damaged in its last byte', async () => {
  const taken = dense();
  const before = denseHash(taken.into);
  const bytes = new Uint8Array(Buffer.concat(taken.blocks));
  bytes[bytes.length - 1] ^= 1;
  await expectRefused(taken, bytes, 'the last byte');
  expect(denseHash(taken.into)).toBe(before);
});

test('damage: a length over the limit is refused before anything is made for it', async () => {
  const { full } = states();
  const bytes = new Uint8Array(Buffer.concat(full.blocks));
  for (const length of [0, 15, 4 * 1024 * 1024 + 1, 0xffff_ffff]) {
    new DataView(bytes.buffer).setUint32(8, length, true);
    await expect(full.restore(bytes)).rejects.toThrow(/blocks of at most 4194304 bytes/);
  }
});
