/**
 * Placement: the ring proposes, the map rules (I6). Called once a change of membership or readiness, never once a key.
 *
 *   target owners   the ring's next shards with room, `replicas` of them; no shard takes more than 1.15 of a fair share
 *   former owners   those that answered before; they serve on until enough of the target owners answer
 *
 * Sources: consistent hashing, Karger et al., STOC 1997; ring of the `hashring` package (ketama style, md5); bounded loads,
 * Mirrokni, Thorup, Zadimoghaddam, SODA 2018.
 */
import type { PartitionMap } from '@millrace/protocol';
import HashRing from 'hashring';

/**
 * Hashes of a shard on the ring, four points each. The package takes floor(1/n · this · n): a whole 40 comes out as 39 for
 * n = 7, 14, 28, …, and then a shard that joins or leaves would move partitions between others too. The half is dropped.
 */
const ringHashes = 40.5;

/**
 * Largest load of a shard, in fair shares (rounded up to whole partitions). 64 partitions are a small sample of the ring:
 * without a bound the third shard takes up to 41 % of the replicas and one of nine up to 1.8 fair shares. A tighter bound
 * moves more partitions between shards that stay: at 1.1 a fifth more than must be from the ninth shard on.
 */
const loadSharesMax = 1.15;

export interface PlacementInput {
  readonly model: string;
  readonly partitions: number;
  readonly replicas: number;
  /** Target owners that must answer before former owners let go; all of them where there are fewer. */
  readonly minReplicas: number;
  /** Live shards that take partitions. */
  readonly shards: readonly string[];
  /** Live shards that leave: they keep what they have until others answer for it, and get nothing new. */
  readonly leaving: readonly string[];
  /** True when the shard has told that it answers reads of the partition. */
  isReady(shard: string, partition: number): boolean;
  /**
   * True when the shard knew the current map when it told. What it told before says nothing of partitions that it may have
   * let go of since, so it does not count for releasing others.
   */
  knowsMap(shard: string): boolean;
}

/**
 * The map that follows `current`, one epoch later; null when it says the same already or there is no shard that takes
 * partitions (then the old map stands: its shards may come back). A partition with a live holder that answers reads keeps
 * one. Where no holder answers, all live ones stay, since one of them is nearest to answering.
 */
export function proposeMap(current: PartitionMap | null, input: PlacementInput): PartitionMap | null {
  if (input.shards.length === 0) return null;
  const targets = targetOwners(input);
  const live = new Set([...input.shards, ...input.leaving]);
  const formers = targets.map((target, partition) => formerOwners(current, partition, target, live, input));
  const shards = [...new Set([...input.shards, ...formers.flat()])].sort();
  const placeOf = new Map(shards.map((shard, place) => [shard, place]));
  const placesOf = (names: readonly string[]) => names.map((name) => placeOf.get(name) as number);
  const proposal: PartitionMap = {
    model: input.model,
    epoch: (current?.epoch ?? 0) + 1,
    shards,
    owners: targets.map(placesOf),
    ...(formers.some((names) => names.length > 0) && { former: formers.map(placesOf) }),
  };
  return current && samePlacement(current, proposal) ? null : proposal;
}

/** Shard ids that own a partition, first choice first. */
export function ownersOf(map: PartitionMap, partition: number): readonly string[] {
  return map.owners[partition].map((place) => map.shards[place]);
}

/** Shard ids that hold a partition: owners, then former owners that serve on. */
export function holdersOf(map: PartitionMap, partition: number): readonly string[] {
  const former = map.former?.[partition] ?? [];
  return [...ownersOf(map, partition), ...former.map((place) => map.shards[place])];
}

/** Partitions that a shard owns, ascending. */
export function partitionsOf(map: PartitionMap, shard: string): readonly number[] {
  const place = map.shards.indexOf(shard);
  return map.owners.flatMap((owners, partition) => (owners.includes(place) ? [partition] : []));
}

/** Newest results of the ring, by what they follow from: readiness changes far more often than membership. */
const remembered = new Map<string, readonly string[][]>();
/** One a model, for as many models as are usual; 4,096 partitions take the ring 25 ms. */
const rememberedMax = 16;

/** For each partition its owners by the ring. A function of names and counts alone: whoever proposes proposes the same. */
function targetOwners({ model, partitions, replicas, shards }: PlacementInput): readonly string[][] {
  const sorted = [...shards].sort();
  const question = JSON.stringify([model, partitions, replicas, sorted]);
  const known = remembered.get(question);
  if (known) return known;
  const owners = ringOwners(sorted, { model, partitions, replicas });
  if (remembered.size >= rememberedMax) remembered.clear();
  remembered.set(question, owners);
  return owners;
}

function ringOwners(
  sorted: readonly string[],
  { model, partitions, replicas }: Pick<PlacementInput, 'model' | 'partitions' | 'replicas'>,
): readonly string[][] {
  const ring = new HashRing([...sorted], 'md5', { 'vnode count': ringHashes, 'max cache size': 1 });
  const wanted = Math.min(replicas, sorted.length);
  const loadMax = Math.ceil((loadSharesMax * partitions * wanted) / sorted.length);
  const loads = new Map(sorted.map((shard) => [shard, 0]));
  const hasRoom = (shard: string) => (loads.get(shard) ?? 0) < loadMax;
  const owners: string[][] = [];
  for (let partition = 0; partition < partitions; partition += 1) {
    const key = `${model}/${partition}`;
    let chosen = ring.range(key, wanted, true);
    if (!chosen.every(hasRoom)) {
      const all = ring.range(key, sorted.length, true);
      // Too few with room are left only when nearly every shard must own every partition.
      chosen = [...all.filter(hasRoom), ...all.filter((shard) => !hasRoom(shard))].slice(0, wanted);
    }
    for (const shard of chosen) loads.set(shard, (loads.get(shard) ?? 0) + 1);
    owners.push(chosen);
  }
  return owners;
}

function formerOwners(
  current: PartitionMap | null,
  partition: number,
  target: readonly string[],
  live: ReadonlySet<string>,
  { minReplicas, isReady, knowsMap }: PlacementInput,
): readonly string[] {
  if (current === null || partition >= current.owners.length) return [];
  const holders = holdersOf(current, partition).filter((shard) => live.has(shard));
  const released = holders.filter((shard) => !target.includes(shard));
  if (released.length === 0) return [];
  const answers = (shard: string) => holders.includes(shard) && knowsMap(shard) && isReady(shard, partition);
  if (target.filter(answers).length >= Math.min(minReplicas, target.length)) return [];
  return holders.some(answers) ? released.filter((shard) => isReady(shard, partition)) : released;
}

function samePlacement(a: PartitionMap, b: PartitionMap): boolean {
  const placement = ({ shards, owners, former }: PartitionMap) => [shards, owners, former ?? null];
  return JSON.stringify(placement(a)) === JSON.stringify(placement(b));
}
