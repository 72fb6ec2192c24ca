/** Notices and stored values as processes write them. */
import type { BatchRecord } from '../src/batch-record.ts';
import type { LogHeads } from '../src/heads.ts';
import type { ShardLease } from '../src/lease.ts';
import type { PartitionMap } from '../src/partition-map.ts';

/** As in golden/heads-counted.hex; golden/heads.hex is from before late and early ones were counted. */
export const heads: LogHeads = {
  model: 'ads',
  timeMs: 1_700_000_000_000,
  partitions: [41, 2 ** 32 + 5],
  dense: 0,
  counters: {
    batches: 2,
    learned: 7,
    positives: 1,
    openImpressions: 3,
    rejectedOutcomes: 1,
    invalidEvents: 0,
    duplicateOutcomes: 0,
    earlyOutcomes: 4,
    lateOutcomes: 3,
    ignoredOutcomes: 2,
    duplicateImpressions: 5,
    droppedImpressions: 6,
    sampledOut: 9,
    rejections: [
      {
        code: 'MILL_IMPRESSION_UNKNOWN',
        requestId: 'r-0',
        reason: 'no impression',
        timeMs: 1_700_000_000_000,
      },
    ],
  },
};

export const lease: ShardLease = {
  shard: 'shard-1',
  startedMs: 1_700_000_000_000,
  renewal: 12,
  host: '127.0.0.1',
  port: 7_401,
  zone: '',
  draining: false,
  models: [
    {
      model: 'ads',
      epoch: 5,
      partitions: 64,
      ready: 63,
      rows: 1_000,
      bytes: 65_536,
      sequence: 41,
      applied: 40,
      duplicates: 1,
      rejected: 0,
      readyPartitions: '',
      behind: 0,
      stalenessMs: null,
    },
  ],
};

export const batchRecord: BatchRecord = {
  writer: 'w1',
  producer: 'updater-ads',
  batch: 7,
  from: [10, 8, 1],
  to: [12, 9, 0],
  joinFrom: 8,
  joinWatermarkMs: 1_700_000_000_000,
  previous: [5, 0, 7],
  previousDense: 7,
  learned: 512,
  positives: 32,
};

export const partitionMap: PartitionMap = {
  model: 'ads',
  epoch: 5,
  shards: ['shard-1', 'shard-2'],
  owners: [[0, 1], [1, 0], [1]],
};
