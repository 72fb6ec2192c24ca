/**
 * Which shard to ask for each partition: the first owner by the map that lives, is not leaving, and has not just failed us.
 * A route is computed once a change of map, leases or failures, never once a key.
 */
import type { PartitionMap } from '@millrace/protocol';
import type { ShardSight } from '@millrace/runtime';

export interface Route {
  readonly epoch: number;
  /** Shard ids of this route; `choice` points into it. */
  readonly shards: readonly string[];
  /** By partition: place in `shards` of the owner to ask, −1 when none can be asked. */
  readonly choice: Int16Array;
}

export interface RouteInput {
  readonly map: PartitionMap;
  readonly sights: readonly ShardSight[];
  /** Owners to pass over while others can be asked: their connection just failed. */
  readonly avoid: ReadonlySet<string>;
}

/** Best first: ready and healthy, then live though behind or avoided, then whatever the map says. */
export function computeRoute({ map, sights, avoid }: RouteInput): Route {
  const rank = map.shards.map((shard) => rankOf(shard, map, sights, avoid));
  const choice = new Int16Array(map.owners.length).fill(-1);
  map.owners.forEach((owners, partition) => {
    let best = -1;
    for (const owner of owners) {
      if (rank[owner] < absent && (best < 0 || rank[owner] < rank[best])) best = owner;
    }
    choice[partition] = best;
  });
  return { epoch: map.epoch, shards: map.shards, choice };
}

const absent = 4;

function rankOf(
  shard: string,
  map: PartitionMap,
  sights: readonly ShardSight[],
  avoid: ReadonlySet<string>,
): number {
  const sight = sights.find(({ lease }) => lease.shard === shard);
  if (!sight) return absent;
  if (!sight.live) return 3;
  if (avoid.has(shard)) return 2;
  const lease = sight.lease.models.find((entry) => entry.model === map.model);
  const isReady = lease !== undefined && lease.ready >= lease.partitions && lease.ready > 0;
  return isReady && !sight.lease.draining ? 0 : 1;
}
