/** Where a node of the simulation reads rows: at shards, or in a cache before them. */
import { createHotRowCache, createPullClient, createReadFloor, type RowSource } from '@millrace/client';
import type { Bus, Clock, ClusterView, Logger, Network } from '@millrace/runtime';
import type { ClusterSettings } from './simulated-cluster.ts';

export interface NodeRowsOptions {
  readonly bus: Bus;
  readonly network: Network;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly cluster: string;
  readonly view: ClusterView;
  readonly settings: ClusterSettings;
  /** Told at an orderly end how many rows were read in the cache. */
  readonly onHits: (hits: number) => void;
}

export function openNodeRows(options: NodeRowsOptions): { readonly rows: RowSource; close(): Promise<void> } {
  const { settings, onHits } = options;
  const floor = createReadFloor();
  const pulls = createPullClient({
    ...options,
    role: 'inference',
    requestTimeoutMs: settings.pullTimeoutMs,
    floor,
  });
  const bounds = { rowsMax: settings.cacheRows, stalenessMsMax: settings.cacheStalenessMsMax };
  const cache =
    settings.cacheRows > 0 ? createHotRowCache({ ...options, rows: pulls, floor, ...bounds }) : null;
  return {
    rows: cache ?? pulls,
    async close() {
      if (cache) onHits(cache.counts.hits);
      await cache?.close();
      pulls.close();
    },
  };
}
