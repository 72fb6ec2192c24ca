/** The archive that settings ask for. */
import { join } from 'node:path';
import type { MillraceError } from '@millrace/protocol';
import { type BlobStore, type Bus, createDirectoryBlobs, type Logger } from '@millrace/runtime';
import { type Archive, type ArchiveStore, createArchive } from './archive.ts';
import { logIdentity } from './log-identity.ts';

export interface ArchiveSettings {
  /** `nats`, `none`, or a directory that all parts see. */
  readonly snapshotStore: string;
  /** A directory of this process's own, looked into first. */
  readonly ownDirectory?: string | null;
}

/** Null when the settings name no store at all. Throws MILL_STORE_UNAVAILABLE, MILL_LOG_UNAVAILABLE. */
export async function openArchive(
  bus: Bus,
  logger: Logger,
  settings: ArchiveSettings,
): Promise<Archive | null> {
  const stores = await openStores(bus, settings);
  if (stores.length === 0) return null;
  const onDamaged = (store: string, path: string, { code, message: reason }: MillraceError) =>
    logger.error({ store, path, code, reason }, 'snapshot passed over');
  return createArchive({ stores, onDamaged });
}

/**
 * The stores that settings name, nearest first: `own`, `shared`. In a directory the snapshots of each set of logs lie apart.
 * Throws MILL_STORE_UNAVAILABLE, MILL_LOG_UNAVAILABLE.
 */
export async function openStores(
  bus: Bus,
  { snapshotStore, ownDirectory }: ArchiveSettings,
): Promise<readonly ArchiveStore[]> {
  const directory = async (path: string) => createDirectoryBlobs(join(path, await logIdentity(bus)));
  const sharedStore = (): Promise<BlobStore> =>
    snapshotStore === 'nats' ? bus.blobs('snapshots') : directory(snapshotStore);
  return [
    ...(ownDirectory ? [{ name: 'own', blobs: await directory(ownDirectory) }] : []),
    ...(snapshotStore === 'none' ? [] : [{ name: 'shared', blobs: await sharedStore() }]),
  ];
}
