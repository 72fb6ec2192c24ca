export {
  type Archive,
  type ArchiveOptions,
  type ArchiveStore,
  createArchive,
  type RestoreOptions,
} from './archive.ts';
export { captureDense, capturePartition } from './capture.ts';
export { type ArchiveSettings, openArchive } from './open-archive.ts';
export type { PartitionIdentity } from './restore.ts';
export {
  type FoldId,
  type SnapshotName,
  snapshotNameFrom,
  snapshotPath,
  snapshotPrefix,
} from './snapshot-name.ts';
export { snapshotSettings } from './snapshot-settings.ts';
export { isBehindTrim, type TrimTarget, trimBehind, trimmedBefore } from './trim-log.ts';
