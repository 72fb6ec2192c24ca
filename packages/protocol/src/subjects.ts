/**
 * Names in NATS. A model name is one subject token (ids.ts), so no escaping is needed.
 *
 *   mill.events.<model>                   impressions, outcomes, ticks          stream MILL_EVENTS
 *   mill.gradients.<model>.<partition>    gradient blocks of one partition      stream MILL_GRADIENTS
 *   mill.dense.<model>                    dense gradient blocks                 stream MILL_DENSE
 *   mill.measures.<model>                 how well it does (measures.ts)        stream MILL_MEASURES, the newest few thousand
 *   mill.heads.<model>                    log heads, told after each batch      no stream
 *   mill.rows.<model>                     rows that blocks changed              no stream
 *   mill.rows-wanted.<model>              somebody wants to be told of them     no stream
 *   mill.arms.<model>                     how a node's scoring goes, by arm     no stream
 */
import type { ModelName, Partition } from './ids.ts';

export const streams = {
  events: { name: 'MILL_EVENTS', subjects: ['mill.events.*'] },
  gradients: { name: 'MILL_GRADIENTS', subjects: ['mill.gradients.*.*'] },
  dense: { name: 'MILL_DENSE', subjects: ['mill.dense.*'] },
  measures: { name: 'MILL_MEASURES', subjects: ['mill.measures.*'] },
} as const;

export type LogName = keyof typeof streams;

export const buckets = {
  /** Model files by model name. */
  models: 'mill-models',
  /** Partition maps by model name; compare-and-set by revision. */
  maps: 'mill-maps',
  /** Leases by shard id, rewritten every second. */
  shards: 'mill-shards',
  /** Batch records by model name; compare-and-set by revision. */
  updaters: 'mill-updaters',
  /** What an updater has judged since its models were created, by model name; unconditional writes of whoever learns. */
  judged: 'mill-judged',
  /** Trim marks by log subject (trim-mark.ts); under `log` what tells these logs from others (snapshot/log-identity.ts). */
  trims: 'mill-trims',
  /** Catalogs by model name, and records of versions by `<model>.<version>` (model-version.ts). */
  versions: 'mill-versions',
  /** Catalogs by model name (experiment.ts); compare-and-set by revision. */
  experiments: 'mill-experiments',
  /** What came of experiments, by model name (experiment-sums.ts); compare-and-set by whoever learns. */
  results: 'mill-results',
} as const;

export type BucketName = keyof typeof buckets;

/** Stores of large values, by name. */
export const blobBuckets = {
  /** Snapshots of partitions and of dense weights. */
  snapshots: 'mill-snapshots',
  /** Dense weights of versions (model-version.ts). */
  versions: 'mill-versions',
} as const;

export type BlobBucketName = keyof typeof blobBuckets;

export function eventsSubject(model: ModelName): string {
  return `mill.events.${model}`;
}

export function gradientsSubject(model: ModelName, partition: Partition): string {
  return `mill.gradients.${model}.${partition}`;
}

export function denseSubject(model: ModelName): string {
  return `mill.dense.${model}`;
}

export function measuresSubject(model: ModelName): string {
  return `mill.measures.${model}`;
}

export function headsSubject(model: ModelName): string {
  return `mill.heads.${model}`;
}

export function rowsSubject(model: ModelName): string {
  return `mill.rows.${model}`;
}

export function rowsWantedSubject(model: ModelName): string {
  return `mill.rows-wanted.${model}`;
}

export function armsSubject(model: ModelName): string {
  return `mill.arms.${model}`;
}
