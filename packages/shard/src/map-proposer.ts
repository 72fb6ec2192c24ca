/**
 * Turns membership into partition maps. Every shard runs this; the one with the lowest id among the living acts. Two that
 * both think so do no harm: the map is written with compare-and-set, and the loser sees the winner's.
 */
import { proposeMap } from '@millrace/core';
import { encodePartitionMap, partitionsDefault } from '@millrace/protocol';
import type { Bus, ClusterView, Logger } from '@millrace/runtime';

export interface MapProposerOptions {
  readonly bus: Bus;
  readonly view: ClusterView;
  readonly logger: Logger;
  readonly shard: string;
  readonly replicas: number;
}

/** Brings every model's map in line with the living shards, if it is this shard's turn. */
export async function proposeMaps({ bus, view, logger, shard, replicas }: MapProposerOptions): Promise<void> {
  const living = view.shards().filter(({ live, lease }) => live && !lease.draining);
  const shards = living.map(({ lease }) => lease.shard).sort();
  if (shards[0] !== shard) return;
  const kv = await bus.kv('maps');
  for (const file of view.models.values()) {
    const partitions = file.partitions ?? partitionsDefault;
    const proposal = proposeMap(view.mapOf(file.name), { model: file.name, partitions, replicas, shards });
    if (!proposal) continue;
    const written = await kv.putIf(file.name, encodePartitionMap(proposal), view.mapRevisionOf(file.name));
    if (written !== null)
      logger.info({ model: file.name, epoch: proposal.epoch, shards }, 'partition map changed');
  }
}
