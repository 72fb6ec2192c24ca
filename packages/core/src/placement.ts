/**
 * Placement: the ring proposes, the map rules (I6). Called once a change of membership, never once a key.
 * Source: consistent hashing, Karger et al., STOC 1997; ring of the `hashring` package (ketama style, md5).
 */
import type { PartitionMap } from '@millrace/protocol';
import HashRing from 'hashring';

/**
 * Hashes of a shard on the ring, four points each. The package takes floor(1/n · this · n): a whole 40 comes out as 39 for
 * n = 7, 14, 28, …, and then a shard that joins or leaves would move partitions between others too. The half is dropped.
 */
const ringHashes = 40.5;

export interface PlacementInput {
  readonly model: string;
  readonly partitions: number;
  readonly replicas: number;
  /** Live shards that take partitions. */
  readonly shards: readonly string[];
}

/**
 * The map that the ring would like, one epoch after `current`; null when `current` says the same already or there is no
 * shard at all (then the old map stands: its shards may come back).
 */
export function proposeMap(current: PartitionMap | null, input: PlacementInput): PartitionMap | null {
  if (input.shards.length === 0) return null;
  const shards = [...input.shards].sort();
  const ring = new HashRing([...shards], 'md5', { 'vnode count': ringHashes, 'max cache size': 1 });
  const owners: number[][] = [];
  for (let partition = 0; partition < input.partitions; partition += 1) {
    const wanted = Math.min(input.replicas, shards.length);
    const names = ring.range(`${input.model}/${partition}`, wanted, true);
    owners.push(names.map((name) => shards.indexOf(name)));
  }
  const proposal: PartitionMap = { model: input.model, epoch: (current?.epoch ?? 0) + 1, shards, owners };
  return current && samePlacement(current, proposal) ? null : proposal;
}

/** Shard ids that own a partition, first choice first. */
export function ownersOf(map: PartitionMap, partition: number): readonly string[] {
  return map.owners[partition].map((place) => map.shards[place]);
}

/** Partitions that a shard owns, ascending. */
export function partitionsOf(map: PartitionMap, shard: string): readonly number[] {
  const place = map.shards.indexOf(shard);
  return map.owners.flatMap((owners, partition) => (owners.includes(place) ? [partition] : []));
}

function samePlacement(a: PartitionMap, b: PartitionMap): boolean {
  return JSON.stringify([a.shards, a.owners]) === JSON.stringify([b.shards, b.owners]);
}
