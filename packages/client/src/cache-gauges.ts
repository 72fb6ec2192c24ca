/** What a cache of rows did, for /metrics. */
import type { Metrics } from '@millrace/runtime';
import type { HotRowCache } from './hot-row-cache.ts';

export function createCacheGauges(metrics: Metrics, cache: HotRowCache): void {
  const gauge = (name: string, help: string, read: () => number) => metrics.gauge({ name, help }, read);
  gauge('mill_cache_hits', 'Keys of batches whose rows were in the cache.', () => cache.counts.hits);
  gauge('mill_cache_misses', 'Keys of batches whose rows were pulled.', () => cache.counts.misses);
  gauge('mill_cache_torn', 'Partitions of batches that were pulled again whole.', () => cache.counts.torn);
  gauge('mill_cache_drops', 'Times that a partition’s cached rows were dropped.', () => cache.drops);
  gauge('mill_cache_renewed', 'Cached rows that notices have renewed or let go.', () => cache.renewed);
  gauge('mill_cache_rows', 'Rows in the cache.', () => cache.rows);
  gauge('mill_cache_bytes', 'Bytes of the cache.', () => cache.bytes);
  gauge(
    'mill_cache_staleness_ms',
    'Age of the least fresh partition that cached rows are read of.',
    () => cache.stalenessMs,
  );
}
