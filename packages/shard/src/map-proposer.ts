/**
 * Turns membership and readiness into partition maps. Every shard runs this; the one with the lowest id among those that
 * live and stay acts. Two that both think so do no harm: the map is written with compare-and-set, and the loser waits for
 * the winner's map to come through its view like everybody else. Nothing is tried again here, so writes are bounded by what
 * happens: one map a change of membership, and at most one for each partition that becomes ready in a move.
 */
import { type PlacementInput, proposeMap } from '@millrace/core';
import {
  encodePartitionMap,
  type ModelFile,
  type PartitionMap,
  partitionSetFrom,
  partitionsDefault,
} from '@millrace/protocol';
import type { Bus, ClusterView, Logger, ShardSight } from '@millrace/runtime';

export interface MapProposerOptions {
  readonly bus: Bus;
  readonly view: ClusterView;
  readonly logger: Logger;
  readonly shard: string;
  /** Owners of a partition. */
  readonly replicas: number;
  /** Owners that must answer reads before earlier ones let go. */
  readonly minReplicas: number;
}

/**
 * Brings every model's map in line with the shards as the view has them, if it is this shard's turn. One that hears nobody,
 * itself included, leaves the maps alone: it would take all others for gone and give itself what they have. So does one that
 * has not heard all whom the map names: a map may come before the lease that it rests on.
 * @returns false when nobody was heard, so that it has to be looked at again: what changed meanwhile will not be told twice.
 */
export async function proposeMaps(options: MapProposerOptions): Promise<boolean> {
  const { bus, view, logger } = options;
  const kv = await bus.kv('maps');
  for (const file of view.models.values()) {
    // All of it at once, anew for each model: a map that is newer than what the proposal rests on must make the write fail.
    if (view.quiet) return false;
    const living = view.shards().filter(({ live }) => live);
    const shards = idsOf(living.filter(({ lease }) => !lease.draining));
    if (shards[0] !== options.shard) return true;
    const leaving = idsOf(living.filter(({ lease }) => lease.draining));
    const [current, revision] = [view.mapOf(file.name), view.mapRevisionOf(file.name)];
    if (current?.shards.some((named) => view.isAwaited(named))) continue;
    const proposal = proposeMap(current, {
      model: file.name,
      partitions: file.partitions ?? partitionsDefault,
      replicas: options.replicas,
      minReplicas: options.minReplicas,
      shards,
      leaving,
      ...toldBy(living, file, current),
    });
    if (!proposal) continue;
    const written = await kv.putIf(file.name, encodePartitionMap(proposal), revision);
    if (written === null) continue;
    const moving = proposal.former?.filter((places) => places.length > 0).length ?? 0;
    logger.info(
      { model: file.name, epoch: proposal.epoch, shards, leaving, moving },
      'partition map changed',
    );
  }
  return true;
}

/** What the leases say of a model's partitions. */
function toldBy(
  living: readonly ShardSight[],
  file: ModelFile,
  current: PartitionMap | null,
): Pick<PlacementInput, 'isReady' | 'knowsMap'> {
  const epochs = new Map<string, number>();
  const ready = new Map<string, (partition: number) => boolean>();
  for (const { lease } of living) {
    const told = lease.models.find(({ model }) => model === file.name);
    if (!told) continue;
    epochs.set(lease.shard, told.epoch);
    ready.set(lease.shard, partitionSetFrom(told.readyPartitions));
  }
  return {
    isReady: (shard, partition) => ready.get(shard)?.(partition) ?? false,
    knowsMap: (shard) => (epochs.get(shard) ?? 0) >= (current?.epoch ?? 0),
  };
}

function idsOf(sights: readonly ShardSight[]): string[] {
  return sights.map(({ lease }) => lease.shard).sort();
}
