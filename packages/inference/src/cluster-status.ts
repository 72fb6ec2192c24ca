/** What a node says of its cluster: models, shards, moves in progress, and itself. */
import { ownersOf } from '@millrace/core';
import {
  type ClusterStatus,
  type JoinStatus,
  type LearningCounters,
  type ModelFile,
  type ModelStatus,
  type PartitionMap,
  type PartitionMove,
  partitionSetFrom,
  partitionSetSize,
  partitionsDefault,
  type ShardStatus,
} from '@millrace/protocol';
import type { ClusterView, ShardSight } from '@millrace/runtime';
import { totalsOf } from './served-counts.ts';
import type { ServedModel } from './served-model.ts';

/** Moves listed; a cluster that has just started moves every partition of up to 4,096, and nobody reads them all. */
const movesMax = 64;

/** A model is ready when its dense part has caught up and every partition has a live holder that answers. */
export function isModelReady(view: ClusterView, file: ModelFile, model: ServedModel | undefined): boolean {
  if (!model?.ready) return false;
  const map = view.mapOf(file.name);
  if (!map) return false;
  const answers = readinessIn(view, file.name);
  return map.owners.every((owners, partition) =>
    [...owners, ...(map.former?.[partition] ?? [])].some((place) => answers(map.shards[place], partition)),
  );
}

export function statusOf(
  { view, cluster }: { readonly view: ClusterView; readonly cluster: string },
  served: ReadonlyMap<string, ServedModel>,
): ClusterStatus {
  const { scored, batches } = totalsOf([...served.values()].map(({ counts }) => counts));
  const queueRows = [...served.values()].reduce((sum, model) => sum + model.queueRows, 0);
  return {
    cluster,
    models: [...served.values()].map((model) => modelStatus(model, view)),
    shards: view.shards().map(shardStatus),
    node: { scored, batches, queueRows, meanBatchRows: batches === 0 ? 0 : scored / batches },
  };
}

function shardStatus({ lease, live }: ShardSight): ShardStatus {
  const { shard, host, port, zone, draining, models } = lease;
  const sum = (of: (entry: (typeof models)[number]) => number) =>
    models.reduce((total, entry) => total + of(entry), 0);
  const staleness = models.map((entry) => entry.stalenessMs).filter((ms) => ms !== null);
  return {
    id: shard,
    address: `${host}:${port}`,
    zone,
    live,
    draining,
    ready: live && models.every((entry) => entry.ready >= entry.partitions),
    owned: sum((entry) => entry.partitions),
    readyPartitions: sum((entry) => partitionSetSize(entry.readyPartitions)),
    rows: sum((entry) => entry.rows),
    bytes: sum((entry) => entry.bytes),
    sequence: Math.max(0, ...models.map((entry) => entry.sequence)),
    behind: sum((entry) => entry.behind),
    stalenessMs: staleness.length > 0 ? Math.max(...staleness) : null,
  };
}

function modelStatus(model: ServedModel, view: ClusterView): ModelStatus {
  const { file, versions, engine } = model.net;
  const counters = model.heads?.counters;
  const map = view.mapOf(file.name);
  const moves = map ? movesOf(map, readinessIn(view, file.name)) : [];
  return {
    name: file.name,
    version: versions.current.version,
    engine: engine.name,
    epoch: map?.epoch ?? 0,
    partitions: file.partitions ?? partitionsDefault,
    replicas: Math.max(0, ...(map?.owners ?? []).map((owners) => owners.length)),
    moving: moves.length,
    moves: moves.slice(0, movesMax),
    stalenessMs: model.counts.stalenessMs,
    learned: counters?.learned ?? 0,
    openImpressions: counters?.openImpressions ?? 0,
    rejected: counters?.rejectedOutcomes ?? 0,
    ...(counters && { joins: joinsOf(counters) }),
    measures: model.measures.newest,
  };
}

function joinsOf(counters: LearningCounters): JoinStatus {
  return {
    duplicateImpressions: counters.duplicateImpressions,
    duplicateOutcomes: counters.duplicateOutcomes,
    early: counters.earlyOutcomes,
    late: counters.lateOutcomes,
    ignored: counters.ignoredOutcomes,
    dropped: counters.droppedImpressions,
    sampledOut: counters.sampledOut,
  };
}

/** Partitions that some owner does not answer for yet, or that former owners still serve. */
function movesOf(map: PartitionMap, answers: Readiness): PartitionMove[] {
  return map.owners.flatMap((_, partition) => {
    const former = (map.former?.[partition] ?? []).map((place) => map.shards[place]);
    const owners = ownersOf(map, partition).map((shard) => ({ shard, ready: answers(shard, partition) }));
    return former.length > 0 || owners.some(({ ready }) => !ready) ? [{ partition, former, owners }] : [];
  });
}

type Readiness = (shard: string, partition: number) => boolean;

/** What live shards have told of a model's partitions. */
function readinessIn(view: ClusterView, model: string): Readiness {
  const sets = new Map<string, (partition: number) => boolean>();
  for (const { live, lease } of view.shards()) {
    const told = live ? lease.models.find((entry) => entry.model === model) : undefined;
    if (told) sets.set(lease.shard, partitionSetFrom(told.readyPartitions));
  }
  return (shard, partition) => sets.get(shard)?.(partition) ?? false;
}
