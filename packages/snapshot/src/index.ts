export {
  type FoldId,
  type SnapshotName,
  snapshotNameFrom,
  snapshotPath,
  snapshotPrefix,
} from './snapshot-name.ts';
export { snapshotSettings } from './snapshot-settings.ts';
export { isBehindTrim, type TrimTarget, trimBehind, trimmedBefore } from './trim-log.ts';
