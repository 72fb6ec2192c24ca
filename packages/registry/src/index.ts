export { emptyCatalog, type LabelChange, labelsOf, versionUnknown, wantedVersions } from './catalog.ts';
export { denseFloatsOf, versionFileFrom } from './version-file.ts';
export {
  type LabelReason,
  type LiveLine,
  type ModelVersion,
  type NewVersion,
  openVersionRegistry,
  type VersionOptions,
  type VersionRegistry,
} from './version-registry.ts';
export { type VersionsView, watchVersions } from './watch-versions.ts';
