/**
 * I6: the map rules, and every partition has somebody who answers for it.
 *
 * A partition is safe from the moment that as many as `minReplicas` unharmed shards have told that it answers reads there.
 * From then on at least one must go on telling so, until as many shards have been harmed as would be needed to lose them all;
 * who drains, joins or moves is no harm. Shards tell it by their leases, which are read here as they are written.
 */
import { holdersOf } from '@millrace/core';
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
  /** A shard has left in order: nothing may be its any more, as long as others could take it. */
  onLeft(shard: string): void;
  /** All shards are to end: nobody need answer from now on. */
  end(): void;
}

/** Others act on a lease until it lapses, and a little longer. */
const rememberedMs = 7_000;
/** What was told so long ago has been heard by everybody. */
const heardMs = 1_500;
/** From the moment that a map is stored until a shard that hears of it has let go of what it lost. */
const actMsMax = 5_000;

export function createCoverage(cluster: SimulatedCluster): Coverage {
  const { world, nats, file, settings } = cluster;
  const ready = new Map<string, (partition: number) => boolean>();
  /** By shard and partition: since when it tells that it answers reads there. */
  const readySinceMs = new Map<string, number>();
  const maps = new Map<number, { readonly map: PartitionMap; readonly storedMs: number }>();
  let newest: PartitionMap | null = null;
  let complete = false;
  let ended = false;
  /** By partition: since when it was safe, null while it is not. */
  const safeSinceMs = new Array<number | null>(file.partitions ?? 0).fill(null);

  nats.bucket('shards').watchers.add(({ key, value }) => {
    const lease = value === null ? null : decodeShardLease(value);
    const told = lease?.models.find(({ model }) => model === file.name);
    if (told) ready.set(key, partitionSetFrom(told.readyPartitions));
    else ready.delete(key);
    for (let partition = 0; partition < safeSinceMs.length; partition += 1) {
      const place = `${key} ${partition}`;
      if (!ready.get(key)?.(partition)) readySinceMs.delete(place);
      else if (!readySinceMs.has(place)) readySinceMs.set(place, world.nowMs);
    }
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
    if (newest !== null && !ended) checkReleases(newest, map);
    maps.set(map.epoch, { map, storedMs: world.nowMs });
    newest = map;
  });

  /**
   * Whoever answers for a partition and is released by a map leaves enough others behind that answer too. What the map rests
   * on was told a while ago, so one that was harmed since counts as answering.
   */
  const checkReleases = (before: PartitionMap, after: PartitionMap) => {
    const isHarmed = (name: string) =>
      (cluster.hosts.find((host) => host.name === name)?.harmedMs ?? 0) > world.nowMs - rememberedMs;
    for (const [partition, owners] of after.owners.entries()) {
      const released = holdersOf(before, partition).filter(
        (name) =>
          world.nowMs - (readySinceMs.get(`${name} ${partition}`) ?? world.nowMs) > heardMs &&
          !isHarmed(name) &&
          !holdersOf(after, partition).includes(name),
      );
      const answering = holdersOf(after, partition).filter(
        (name) => ready.get(name)?.(partition) || isHarmed(name),
      );
      if (released.length === 0 || answering.length >= Math.min(settings.minReplicas, owners.length))
        continue;
      world.violate(
        'I6',
        `map ${after.epoch} releases ${released.join(', ')} from partition ${partition}, and ${answering.length} that stay answer`,
      );
    }
  };

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
      // A shard knows a map a moment before it has acted on it; one that was away may have missed some in between.
      const troubledMs = cluster.hosts.find(({ name }) => name === shard)?.process?.troubledMs ?? 0;
      const wasAway = world.nowMs - troubledMs < actMsMax;
      const isNews = wasAway || world.nowMs - known.storedMs < actMsMax;
      const earlier = [...maps.values()].filter(
        ({ map }) => isNews && (map.epoch === epoch - 1 || (wasAway && map.epoch < epoch)),
      );
      for (const partition of partitions) {
        if ([known, ...earlier].some(({ map }) => holdersOf(map, partition).includes(shard))) continue;
        world.violate(
          'I6',
          `${shard} answered for partition ${partition}, which is not its at epoch ${epoch}`,
        );
      }
    },
    get map() {
      return newest;
    },
    onLeft(shard) {
      if (newest === null || ended) return;
      const others = cluster.hosts.filter(
        (host) =>
          host.name !== shard &&
          host.shard !== null &&
          !host.leaving &&
          host.harmedMs < world.nowMs - rememberedMs,
      );
      const own = cluster.hosts.find((host) => host.name === shard);
      if (others.length === 0 || own === undefined || own.harmedMs > world.nowMs - rememberedMs) return;
      for (let partition = 0; partition < newest.owners.length; partition += 1) {
        const isAnswering = readySinceMs.has(`${shard} ${partition}`);
        if (!isAnswering || !holdersOf(newest, partition).includes(shard)) continue;
        world.violate('I6', `${shard} has left, and partition ${partition} was still its to answer for`);
      }
    },
    end() {
      ended = true;
    },
  };
}
