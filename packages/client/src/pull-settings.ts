import { stalenessMsMaxDefault } from '@millrace/protocol';
import { defineConfig, flagSetting, wholeSetting } from '@millrace/runtime';

/** Settings of every process that pulls. */
export const pullSettings = defineConfig({
  hedge: {
    env: 'MILL_PULL_HEDGE',
    parser: flagSetting(),
    default: true,
    sentence:
      'Whether a pull that takes longer than 95 in 100 is asked of a second holder too; at most one in twenty is.',
  },
  stalenessMsMax: {
    env: 'MILL_STALENESS_MS_MAX',
    parser: wholeSetting({ min: 0, max: 86_400_000 }),
    default: stalenessMsMaxDefault,
    unit: 'ms',
    sentence: 'Holders whose rows are older are passed over while fresher ones answer; 0: none is.',
  },
});
