/**
 * Which shard to ask for each partition, and which other one where that one is slow. All holders by the map can answer:
 * owners, and former owners that serve on during a move. They are ranked by what the leases say, first difference decides:
 *
 *   lives · has not just failed us · answers for this partition · is not late · stays · is in our zone
 *
 * and among equals an owner comes before a former one; owners take turns by partition, so that load spreads. Of those that
 * have all failed us the one comes first whose failure is longest ago: the tries of a pull go round. A route is computed once
 * a change of map, leases or failures, never once a key.
 */
import { leaseRenewMs, type ModelLease, type PartitionMap, partitionSetFrom } from '@millrace/protocol';
import type { ShardSight } from '@millrace/runtime';

/** Which shard to ask for each partition. */
export interface Choice {
  /** Shard ids; `choice` points into it. */
  readonly shards: readonly string[];
  /** By partition: place in `shards` of the holder to ask, −1 when none can be asked. */
  readonly choice: Int16Array;
}

export interface Route extends Choice {
  readonly epoch: number;
  /** By partition: another holder that lives, has not failed and answers for it; −1 when there is none. */
  readonly spare: Int16Array;
}

export interface RouteInput {
  readonly map: PartitionMap;
  readonly sights: readonly ShardSight[];
  /** Holders to pass over while others can be asked: they just failed, in this order. */
  readonly avoid: ReadonlySet<string>;
  /** Where we are; '': nowhere in particular. */
  readonly zone: string;
  /** A holder whose rows are older is late, ms; 0: none is. */
  readonly stalenessMsMax: number;
}

/** Bits of a rank, worst first; a lower rank is better. */
const lapsed = 32;
const failed = 16;
const unready = 8;
const late = 4;
const leaving = 2;
const elsewhere = 1;
const unknown = 64;

interface Candidate {
  /** Bits that hold for all partitions. */
  readonly rank: number;
  readonly stalenessMs: number;
  /** How many failed before it did. */
  readonly failures: number;
  readonly isReady: (partition: number) => boolean;
}

/** Holders that have never told an address are never chosen; any other one is, if nobody better is there. */
export function computeRoute(input: RouteInput): Route {
  const { map } = input;
  const candidates = candidatesOf(input);
  const choice = new Int16Array(map.owners.length).fill(-1);
  const spare = new Int16Array(map.owners.length).fill(-1);
  for (let partition = 0; partition < map.owners.length; partition += 1) {
    const owners = map.owners[partition];
    const former = map.former?.[partition] ?? [];
    let [best, next] = [nobody, nobody];
    for (let turn = 0; turn < owners.length + former.length; turn += 1) {
      const isOwner = turn < owners.length;
      const place = isOwner ? owners[(turn + partition) % owners.length] : former[turn - owners.length];
      const { rank, stalenessMs, failures, isReady } = candidates[place];
      if (rank >= unknown) continue;
      const found = { place, rank: isReady(partition) ? rank : rank + unready, stalenessMs, failures };
      if (isBetter(found, best)) [best, next] = [found, best];
      else if (isBetter(found, next)) next = found;
    }
    choice[partition] = best.place;
    if (next.rank < unready) spare[partition] = next.place;
  }
  return { epoch: map.epoch, shards: map.shards, choice, spare };
}

interface Found {
  readonly place: number;
  readonly rank: number;
  readonly stalenessMs: number;
  readonly failures: number;
}

const nobody: Found = { place: -1, rank: unknown, stalenessMs: 0, failures: 0 };

function isBetter(a: Found, b: Found): boolean {
  // Whether it answers for the partition matters less here: who fails at once would be asked again and again.
  if ((a.rank & b.rank & failed) !== 0 && a.failures !== b.failures) return a.failures < b.failures;
  if (a.rank !== b.rank) return a.rank < b.rank;
  // Of those that are late the freshest.
  return (a.rank & late) !== 0 && a.stalenessMs < b.stalenessMs;
}

function candidatesOf({ map, sights, avoid, zone, stalenessMsMax }: RouteInput): readonly Candidate[] {
  const sightOf = new Map(sights.map((sight) => [sight.lease.shard, sight]));
  const told = (sight: ShardSight | undefined): ModelLease | undefined =>
    sight?.lease.models.find(({ model }) => model === map.model);
  const lateMs = latenessBound(
    map.shards
      .map((shard) => sightOf.get(shard))
      .flatMap((sight) => (sight?.live ? (told(sight) ?? []) : [])),
    stalenessMsMax,
  );
  const inOrder = [...avoid];
  return map.shards.map((shard) => {
    const sight = sightOf.get(shard);
    if (!sight) return { rank: unknown, stalenessMs: 0, failures: 0, isReady: () => false };
    const lease = told(sight);
    const stalenessMs = lease?.stalenessMs ?? 0;
    const rank =
      (sight.live ? 0 : lapsed) +
      (avoid.has(shard) ? failed : 0) +
      (stalenessMs > lateMs ? late : 0) +
      (sight.lease.draining ? leaving : 0) +
      (zone !== '' && sight.lease.zone !== zone ? elsewhere : 0);
    const failures = Math.max(0, inOrder.indexOf(shard));
    return { rank, stalenessMs, failures, isReady: partitionSetFrom(lease?.readyPartitions ?? '') };
  });
}

/** Leases tell their staleness at different moments of a second, and one renewal may be missing. */
const leaseSpreadMs = 2 * leaseRenewMs;

/**
 * Staleness beyond which a holder is late. When all are beyond the bound, as they are when no updater announces heads any
 * more, only those are late that lag behind the freshest: everything would else be asked of a single shard.
 */
function latenessBound(leases: readonly ModelLease[], stalenessMsMax: number): number {
  if (stalenessMsMax === 0) return Number.POSITIVE_INFINITY;
  const told = leases.flatMap(({ stalenessMs }) => (stalenessMs === null ? [] : [stalenessMs]));
  return told.length === 0 ? stalenessMsMax : Math.max(stalenessMsMax, Math.min(...told) + leaseSpreadMs);
}
