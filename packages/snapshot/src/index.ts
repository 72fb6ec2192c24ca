export {
  type FoldId,
  type SnapshotName,
  snapshotNameFrom,
  snapshotPath,
  snapshotPrefix,
} from './snapshot-name.ts';
