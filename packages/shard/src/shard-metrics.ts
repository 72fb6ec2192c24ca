/** What a shard counts. */
import type { Metrics } from '@millrace/runtime';
import type { StoreName } from './snapshot-writer.ts';

export interface ShardMetrics {
  keysPulled(keys: number): void;
  rowsRestored(rows: number): void;
  snapshotWritten(store: StoreName, bytes: number, seconds: number): void;
  snapshotFailed(store: StoreName): void;
  snapshotDamaged(store: string): void;
}

export interface ShardGauges {
  readonly goneCount: () => number;
  readonly behind: () => number;
}

export function createShardMetrics(metrics: Metrics, gauges: ShardGauges): ShardMetrics {
  const labels = ['store'] as const;
  const pulledKeys = metrics.counter({ name: 'mill_pulled_keys_total', help: 'Keys of pulls answered.' });
  const restoredRows = metrics.counter({
    name: 'mill_restored_rows_total',
    help: 'Rows that came from snapshots.',
  });
  const written = metrics.counter({ name: 'mill_snapshots_total', help: 'Snapshots written.', labels });
  const bytesWritten = metrics.counter({
    name: 'mill_snapshot_bytes_total',
    help: 'Bytes of snapshots written.',
    labels,
  });
  const failures = metrics.counter({
    name: 'mill_snapshot_failures_total',
    help: 'Snapshots, or what follows them, that failed and will be tried again.',
    labels,
  });
  const damaged = metrics.counter({
    name: 'mill_snapshots_damaged_total',
    help: 'Snapshots found to be damaged and passed over.',
    labels,
  });
  const seconds = metrics.gauge({
    name: 'mill_snapshot_write_seconds',
    help: 'Time that writing the newest snapshot took.',
    labels,
  });
  metrics.gauge(
    { name: 'mill_partitions_gone', help: 'Partitions whose state neither log nor snapshots give.' },
    gauges.goneCount,
  );
  metrics.gauge(
    { name: 'mill_behind_messages', help: 'Log messages that held partitions have still to apply.' },
    gauges.behind,
  );
  return {
    // A frame too short to be a pull counts for less than nothing, which a counter answers with a throw.
    keysPulled: (keys) => pulledKeys.inc(Math.max(0, keys)),
    rowsRestored: (rows) => restoredRows.inc(rows),
    snapshotWritten(store, bytes, took) {
      written.inc({ store });
      bytesWritten.inc({ store }, bytes);
      seconds.set({ store }, took);
    },
    snapshotFailed: (store) => failures.inc({ store }),
    snapshotDamaged: (store) => damaged.inc({ store }),
  };
}
