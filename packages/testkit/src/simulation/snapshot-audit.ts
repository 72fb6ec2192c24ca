/**
 * I4: whatever can be restored from a store is one partition at one sequence. Looks into stores as they are written and
 * damaged, with the production archive and without the faults of a disk, and holds what it gives against the truth.
 */
import { fingerprintOf, partitionHash } from '@millrace/core';
import { isMillraceError, reasonFrom } from '@millrace/protocol';
import type { BlobStore } from '@millrace/runtime';
import { createArchive } from '@millrace/snapshot';
import type { SimulatedCluster } from './simulated-cluster.ts';
import { listingOf, type SimulatedStore } from './simulated-store.ts';

export interface SnapshotAudit {
  onBlob(store: SimulatedStore, name: string): void;
  /** States that were restored and looked at. */
  readonly restored: number;
}

/** Of writes, every so many are looked at; all damage is, and all that was captured while the log went on. */
const lookEvery = 8;
const freshMs = 250;

export function createSnapshotAudit({ world, truth, file }: SimulatedCluster): SnapshotAudit {
  const fingerprint = fingerprintOf(file);
  let writes = 0;
  let restored = 0;

  const look = async (store: SimulatedStore, partition: number, atMost: number) => {
    const archive = createArchive({
      stores: [{ name: store.name, blobs: stillView(store) }],
      onDamaged: () => undefined,
    });
    const { layouts } = truth;
    const identity = { model: file.name, fingerprint, partition, layouts };
    const state = await archive.restorePartition(identity, { atMost });
    if (state === null) return;
    restored += 1;
    const plain = truth.partitions[partition];
    if (partitionHash(state) === plain.hashAt(state.sequence)) return;
    world.violate(
      'I4',
      `${store.name} gives another state of partition ${partition} at ${state.sequence} than its log`,
    );
  };

  return {
    onBlob(store, name) {
      writes += 1;
      const partition = Number(name.split('/')[2]);
      if (!Number.isInteger(partition)) return;
      const isFresh = world.nowMs - truth.newestMs[partition] < freshMs;
      if (!store.blobs.get(name)?.damaged && !isFresh && writes % lookEvery !== 0) return;
      look(store, partition, Number(name.split('/')[3].slice(0, 16))).catch((error: unknown) => {
        if (!isMillraceError(error)) world.violate('defect', `a restore failed: ${reasonFrom(error)}`);
      });
    },
    get restored() {
      return restored;
    },
  };
}

/** The store as it is at the call, read at once. */
function stillView(store: SimulatedStore): BlobStore {
  const blobs = new Map(store.blobs);
  const listing = listingOf(store);
  return {
    put: async () => undefined,
    delete: async () => undefined,
    async get(name) {
      const blob = blobs.get(name);
      return blob === undefined ? null : once(blob.bytes);
    },
    list: async (prefix) => listing.filter(({ name }) => name.startsWith(prefix)),
  };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes.slice();
}
