/**
 * I6: the map rules, and every partition has somebody who answers for it.
 *
 * A partition is safe from the moment that as many as `minReplicas` unharmed shards have told that it answers reads there.
 * From then on at least one must go on telling so, until as many shards have been harmed as would be needed to lose them all;
 * who drains, joins or moves is no harm. Shards tell it by their leases, which are read here as they are written.
 */
import {
  decodePartitionMap,
  decodeShardLease,
  type PartitionMap,
  partitionSetFrom,
} from '@millrace/protocol';
import type { SimulatedCluster } from './simulated-cluster.ts';
import type { WatchedAnswer } from './wire-watch.ts';

export interface Coverage {
  /** Looks now. */
  check(): void;
  /** True while every partition has a shard that tells that it answers reads, and runs. */
  readonly complete: boolean;
  onAnswer(answer: WatchedAnswer): void;
  readonly map: PartitionMap | null;
  /** All shards are to end: nobody need answer from now on. */
  end(): void;
}

/** Others act on a lease until it lapses, and a little longer. */
const rememberedMs = 7_000;
/** From the moment that a map is stored until a shard that hears of it has let go of what it lost. */
const actMsMax = 5_000;

export function createCoverage(cluster: SimulatedCluster): Coverage {
  const { world, nats, file, settings } = cluster;
  const ready = new Map<string, (partition: number) => boolean>();
  const maps = new Map<number, { readonly map: PartitionMap; readonly storedMs: number }>();
  let newest: PartitionMap | null = null;
  let complete = false;
  /** By partition: since when it was safe, null while it is not. */
  const safeSinceMs = new Array<number | null>(file.partitions ?? 0).fill(null);

  nats.bucket('shards').watchers.add(({ key, value }) => {
    const lease = value === null ? null : decodeShardLease(value);
    const told = lease?.models.find(({ model }) => model === file.name);
    if (told) ready.set(key, partitionSetFrom(told.readyPartitions));
    else ready.delete(key);
    check();
  });
  nats.bucket('maps').watchers.add(({ value }) => {
    if (value === null) return;
    const map = decodePartitionMap(value);
    if (newest !== null && map.epoch !== newest.epoch + 1)
      world.violate('I6', `map epoch ${map.epoch} follows ${newest.epoch}`);
    for (const [partition, owners] of map.owners.entries()) {
      if (owners.length === 0) world.violate('I6', `map ${map.epoch}: partition ${partition} has no owner`);
    }
    maps.set(map.epoch, { map, storedMs: world.nowMs });
    newest = map;
  });

  let ended = false;
  const check = () => {
    if (newest === null || ended) return;
    const shards = cluster.hosts.filter(({ kind }) => kind === 'shard');
    for (const host of shards) {
      const { process, link } = host;
      if (process !== null && (process.frozen || link?.up === false)) host.harmedMs = world.nowMs;
      // What a dead process told says nothing of the one after it.
      if (process === null) ready.delete(host.name);
    }
    complete = true;
    for (let partition = 0; partition < safeSinceMs.length; partition += 1) {
      const holders = shards.filter(({ name, process }) => process !== null && ready.get(name)?.(partition));
      const unharmed = holders.filter(({ harmedMs }) => harmedMs < world.nowMs);
      if (holders.length === 0) complete = false;
      if (unharmed.length >= settings.minReplicas) safeSinceMs[partition] = world.nowMs;
      const since = safeSinceMs[partition];
      if (holders.length > 0 || since === null) continue;
      const harmed = shards.filter(({ harmedMs }) => harmedMs > since - rememberedMs);
      if (harmed.length < settings.minReplicas)
        world.violate(
          'I6',
          `partition ${partition}: nobody answers for it, and ${harmed.length} shards were harmed`,
        );
      safeSinceMs[partition] = null;
    }
  };

  return {
    check,
    get complete() {
      return complete;
    },
    onAnswer({ shard, epoch, partitions }) {
      const known = maps.get(epoch);
      if (known === undefined) {
        world.violate('I6', `${shard} answered by a map of epoch ${epoch} that there never was`);
        return;
      }
      // A shard knows a map a moment before it has acted on it.
      const before = world.nowMs - known.storedMs < actMsMax ? maps.get(epoch - 1) : undefined;
      for (const partition of partitions) {
        if (holds(known.map, partition, shard) || (before && holds(before.map, partition, shard))) continue;
        world.violate(
          'I6',
          `${shard} answered for partition ${partition}, which is not its at epoch ${epoch}`,
        );
      }
    },
    get map() {
      return newest;
    },
    end() {
      ended = true;
    },
  };
}

function holds(map: PartitionMap, partition: number, shard: string): boolean {
  const place = map.shards.indexOf(shard);
  return map.owners[partition].includes(place) || (map.former?.[partition]?.includes(place) ?? false);
}
