export { type ModelUpdater, type ModelUpdaterOptions, startModelUpdater } from './model-updater.ts';
export { type RunningUpdater, startUpdater, type UpdaterOptions } from './start-updater.ts';
export { updaterSettings } from './updater-settings.ts';
