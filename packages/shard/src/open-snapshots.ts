/** What a shard has of snapshots: stores to restore from, and the writer. */
import type { ClusterView } from '@millrace/runtime';
import { type Archive, createArchive } from '@millrace/snapshot';
import type { HoldingsKeeper } from './holdings.ts';
import { pacedBlobs } from './paced-blobs.ts';
import { createShardMetrics, type ShardGauges, type ShardMetrics } from './shard-metrics.ts';
import { isFirstReady } from './snapshot-policy.ts';
import { type SnapshotWriter, startSnapshots } from './snapshot-writer.ts';
import type { ShardOptions } from './start-shard.ts';

/** Damaged snapshots that are remembered; one is found once a restore, so there are few. */
const damagedMax = 4_096;

export interface ShardSnapshots {
  readonly metrics: ShardMetrics;
  /** Null when there is no store. */
  readonly archive: Archive | null;
  /** Null when there is nothing to write, or nowhere. */
  start(view: ClusterView, holdings: HoldingsKeeper): SnapshotWriter | null;
}

export function openSnapshots(options: ShardOptions, gauges: ShardGauges): ShardSnapshots {
  const { bus, clock, logger, shard, stores } = options;
  const metrics = createShardMetrics(options.metrics, gauges);
  const damaged = new Set<string>();
  const archiveOf = (chosen: ShardOptions['stores']) =>
    createArchive({
      stores: chosen,
      onDamaged(store, path, { code, message: reason }) {
        logger.error({ store, path, code, reason }, 'snapshot passed over');
        metrics.snapshotDamaged(store);
        if (damaged.size >= damagedMax) damaged.clear();
        damaged.add(`${store} ${path}`);
      },
    });
  const paced = stores.map(({ name, blobs }) => ({ name, blobs: pacedBlobs(blobs, clock) }));
  const shared = paced.filter(({ name }) => name === 'shared');
  const archive = stores.length > 0 ? archiveOf(stores) : null;
  return {
    metrics,
    archive,
    start(view, holdings) {
      if (archive === null || options.snapshotEveryMs === 0) return null;
      return startSnapshots({
        bus,
        clock,
        logger,
        metrics,
        archive: archiveOf(paced),
        hasShared: shared.length > 0,
        hasOwn: stores.some(({ name }) => name === 'own'),
        isDamaged: (store, path) => damaged.has(`${store} ${path}`),
        everyMs: options.snapshotEveryMs,
        chains: options.snapshotChains,
        readable: () => holdings.readable(),
        writesShared(model, partition) {
          const map = view.mapOf(model);
          return map !== null && isFirstReady(map, partition, shard, view.shards());
        },
      });
    },
  };
}
