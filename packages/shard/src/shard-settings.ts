import { minReplicasDefault, replicasDefault } from '@millrace/protocol';
import { defineConfig, textSetting, wholeSetting } from '@millrace/runtime';

/** Settings of a shard process. */
export const shardSettings = defineConfig({
  shard: {
    env: 'MILL_SHARD_ID',
    parser: textSetting({ pattern: /^[a-z][a-z0-9-]{0,39}$/, wanted: 'a lower-case name' }),
    default: null,
    sentence: 'Name of the shard, unique in the cluster and kept over restarts; none: shard-<host name>.',
  },
  host: {
    env: 'MILL_SHARD_HOST',
    parser: textSetting(),
    default: '127.0.0.1',
    sentence: 'Address that the pull port listens on.',
  },
  advertiseHost: {
    env: 'MILL_SHARD_ADVERTISE_HOST',
    parser: textSetting(),
    default: null,
    sentence:
      'Address told to inference nodes and updaters; none: the one listened on, or where that is every address, the one that reaches NATS.',
  },
  port: {
    env: 'MILL_SHARD_PORT',
    parser: wholeSetting({ min: 0, max: 65_535 }),
    default: 0,
    sentence: 'Pull port; 0 takes a free one, which the lease tells.',
  },
  replicas: {
    env: 'MILL_REPLICAS',
    parser: wholeSetting({ min: 1, max: 8 }),
    default: replicasDefault,
    unit: 'shards',
    sentence: 'Owners of each partition.',
  },
  minReplicas: {
    env: 'MILL_MIN_REPLICAS',
    parser: wholeSetting({ min: 1, max: 8 }),
    default: minReplicasDefault,
    unit: 'shards',
    sentence:
      'Owners of a partition that must answer reads before earlier ones let go of it, if it has so many.',
  },
  shardDirectory: {
    env: 'MILL_SHARD_DATA',
    parser: textSetting(),
    default: null,
    sentence:
      'Directory for snapshots of this shard’s own, so that a restart continues from them; none: it restores from MILL_SNAPSHOT_STORE. Not to be shared with another shard.',
  },
  drainMsMax: {
    env: 'MILL_DRAIN_MS_MAX',
    parser: wholeSetting({ min: 0, max: 25_000 }),
    default: 25_000,
    unit: 'ms',
    sentence:
      'How long a shard that is told to stop waits for others to answer for its partitions; give containers five seconds more.',
  },
  connectionsMax: {
    env: 'MILL_SHARD_CONNECTIONS_MAX',
    parser: wholeSetting({ min: 1, max: 100_000 }),
    default: 1_024,
    unit: 'connections',
    sentence: 'Pull connections served at once; more are turned away.',
  },
});
