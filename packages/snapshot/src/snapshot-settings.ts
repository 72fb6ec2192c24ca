import { defineConfig, textSetting, wholeSetting } from '@millrace/runtime';
import { fullSnapshotsMin } from './whole-snapshots.ts';

/** Settings of whoever takes or uses snapshots: shards, updaters, inference nodes. */
export const snapshotSettings = defineConfig({
  snapshotStore: {
    env: 'MILL_SNAPSHOT_STORE',
    parser: textSetting({
      pattern: /^(nats|none|\.{0,2}\/.*)$/,
      wanted: '`nats`, `none`, or the path of a directory that begins with / or .',
    }),
    default: 'nats',
    sentence:
      'Where snapshots are shared: the object store of NATS, a directory that all parts see, or nowhere; then the log is never trimmed.',
  },
  snapshotEveryMs: {
    env: 'MILL_SNAPSHOT_EVERY_MS',
    parser: wholeSetting({ min: 0, max: 86_400_000 }),
    default: 60_000,
    unit: 'ms',
    sentence: 'How often what has changed is written to snapshots; 0: never.',
  },
  snapshotChains: {
    env: 'MILL_SNAPSHOT_CHAINS',
    parser: wholeSetting({ min: fullSnapshotsMin, max: 1_000 }),
    default: fullSnapshotsMin,
    unit: 'full snapshots',
    sentence:
      'Full snapshots that are kept of each partition, with what builds on them; the log is kept from the oldest of them on.',
  },
});
