/** A partition with a log and snapshots of it, for the tests of restoring and of writing them. */
import { applyGradients, createPartitionState, fingerprintOf, type PartitionState } from '@millrace/core';
import { gradientsSubject, modelNameFrom, type Sequence } from '@millrace/protocol';
import {
  type BlobStore,
  type Bus,
  createMemoryBlobs,
  type LogMessage,
  type MemoryBus,
} from '@millrace/runtime';
import { type Archive, capturePartition, createArchive, type FoldId, snapshotPath } from '@millrace/snapshot';
import { blockOf, file, keysOn, layouts } from './small-cluster.ts';

export const partition = 2;
export const subject = gradientsSubject(modelNameFrom('ads'), partition);
export const fold: FoldId = { model: 'ads', fingerprint: fingerprintOf(file), fold: partition };

const keys = keysOn(partition, 12);

/** Appends blocks `from` … `to` of the partition's chain; block n touches two keys, others than the block before it. */
export async function appendBlocks(bus: Bus, from: number, to = from): Promise<void> {
  for (let sequence = from; sequence <= to; sequence += 1) {
    const at = 4 * (sequence % 6);
    await bus.append(
      'gradients',
      subject,
      blockOf({ partition, sequence, keys: keys.slice(at, at + 4), gradient: sequence }),
    );
  }
}

export function emptyState(): PartitionState {
  return createPartitionState({ model: 'ads', fingerprint: fingerprintOf(file), partition, layouts });
}

/** The fold of the log from nothing, up to a sequence. */
export async function foldOfLog(
  bus: MemoryBus,
  through: Sequence = Number.MAX_SAFE_INTEGER,
): Promise<PartitionState> {
  const state = emptyState();
  const onMessage = (message: LogMessage) => {
    if (message.sequence <= through) applyGradients(state, message, 'accept');
  };
  const onError = (error: Error) => {
    throw error;
  };
  const reader = await bus.read('gradients', { subject, from: 1, onMessage, onError });
  await reader.close();
  return state;
}

export interface Stores {
  readonly own: BlobStore;
  readonly shared: BlobStore;
  readonly archive: Archive;
  /** `store path`, as they were met. */
  readonly damaged: readonly string[];
}

export function openTestStores(): Stores {
  const own = createMemoryBlobs();
  const shared = createMemoryBlobs();
  const damaged: string[] = [];
  const archive = createArchive({
    stores: [
      { name: 'own', blobs: own },
      { name: 'shared', blobs: shared },
    ],
    onDamaged: (store, path) => damaged.push(`${store} ${path}`),
  });
  return { own, shared, archive, damaged };
}

/** Writes a full snapshot of the log's fold at `sequence` to a store. */
export async function putSnapshot(bus: MemoryBus, blobs: BlobStore, sequence: Sequence): Promise<void> {
  const state = await foldOfLog(bus, sequence);
  const path = snapshotPath(fold, { sequence: state.sequence, base: null });
  await blobs.put(path, capturePartition(state, null));
}

/** Turns a bit of what a store has under a name. */
export async function damage(blobs: BlobStore, name: string, at: number): Promise<void> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of (await blobs.get(name)) ?? []) chunks.push(chunk);
  const bytes = new Uint8Array(Buffer.concat(chunks));
  bytes[at] ^= 1;
  await blobs.put(name, [bytes]);
}

/** Lets what was started as promises go on; the memory bus and its stores need no more. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
