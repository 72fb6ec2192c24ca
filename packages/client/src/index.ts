export { createCacheGauges } from './cache-gauges.ts';
export type { CopyFormat } from './cached-table.ts';
export { type DenseFollower, followDense } from './dense-follower.ts';
export { createHedgeCounters } from './hedge-counters.ts';
export { createHotRowCache, type HotRowCache, type HotRowCacheOptions } from './hot-row-cache.ts';
export type { HedgeEvent } from './part-asker.ts';
export {
  createPullClient,
  type PullClient,
  type PullClientOptions,
  type PullPreferences,
} from './pull-client.ts';
export { pullSettings } from './pull-settings.ts';
export { pullTables, type TablePull } from './pull-tables.ts';
export { createReadFloor, type ReadFloor } from './read-floor.ts';
export { computeRoute, type Route, type RouteInput } from './routing.ts';
export {
  addReadMark,
  createReadMarks,
  type PullOutcome,
  type PullRequest,
  type ReadMarks,
  type RowSource,
} from './row-source.ts';
export { createShardConnection, type ShardAddress, type ShardConnection } from './shard-connection.ts';
