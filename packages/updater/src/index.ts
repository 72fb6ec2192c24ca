export {
  createJoiner,
  type Example,
  type Joiner,
  type JoinerOptions,
  type JoinerSink,
  joinerOptionsOf,
} from './joiner.ts';
export { type ModelUpdater, type ModelUpdaterOptions, startModelUpdater } from './model-updater.ts';
export { type RunningUpdater, startUpdater, type UpdaterOptions } from './start-updater.ts';
export { updaterSettings } from './updater-settings.ts';
