import { engineNames } from '@millrace/model';
import { choiceSetting, defineConfig, numberSetting, wholeSetting } from '@millrace/runtime';

/** Settings of an updater process. */
export const updaterSettings = defineConfig({
  engine: {
    env: 'MILL_UPDATER_ENGINE',
    parser: choiceSetting(['auto', ...engineNames]),
    default: 'auto',
    sentence: 'What runs forward and backward passes; auto measures those that load, and takes the fastest.',
  },
  pullTimeoutMs: {
    env: 'MILL_UPDATER_PULL_TIMEOUT_MS',
    parser: wholeSetting({ min: 1, max: 60_000 }),
    default: 2_000,
    unit: 'ms',
    sentence: 'A shard that has not answered a pull by then is passed over for another owner.',
  },
  driftAlert: {
    env: 'MILL_DRIFT_ALERT',
    parser: numberSetting({ min: 0, max: 100 }),
    default: 0.25,
    unit: 'population stability index',
    sentence:
      'A field, or the scores, whose last hour differs by more from what came before is told as moved.',
  },
});
