export {
  type Archive,
  type ArchiveOptions,
  type ArchiveStore,
  createArchive,
  type RestoreOptions,
} from './archive.ts';
export { captureDense, capturePartition } from './capture.ts';
export { oldestFullOf } from './chains.ts';
export { mapFew } from './few-at-once.ts';
export {
  type BlockSight,
  type DenseHistoryOptions,
  foldDenseAt,
  foldPartitionAt,
  newestBlockAtOrBelow,
  type PartitionHistoryOptions,
  partitionIdentity,
} from './history.ts';
export type { HistoryPoint, HistoryProgress, TakenOutcome } from './history-fold.ts';
export { readStretch, type Stretch } from './history-read.ts';
export { type ArchiveSettings, openArchive, openStores } from './open-archive.ts';
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
export { createWholeSnapshots, type WholeSnapshots } from './whole-snapshots.ts';
