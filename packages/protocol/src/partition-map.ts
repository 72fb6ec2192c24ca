/**
 * Which shards own which partition of a model, at an epoch. Bucket mill-maps, key = model, value = JSON of PartitionMap.
 * The ring only proposes (core/placement.ts); what stands here rules. Addresses are not part of it: they come with the leases.
 */
import type { Epoch } from './ids.ts';
import { jsonBytes, jsonFrom } from './packing.ts';
import { checkedRecord, isCount, readRecord, recordInvalid } from './record-checks.ts';

const what = 'partition map';

export interface PartitionMap {
  readonly model: string;
  readonly epoch: Epoch;
  /** Shard ids; `owners` points into it. */
  readonly shards: readonly string[];
  /** For each partition the places of its owners in `shards`, first choice first. */
  readonly owners: readonly (readonly number[])[];
  /**
   * For each partition the places of those that owned it before and serve on until enough of `owners` answer reads; absent
   * when no partition moves. They keep folding the log, so what they answer is as right as an owner's.
   */
  readonly former?: readonly (readonly number[])[];
}

export function encodePartitionMap(map: PartitionMap): Uint8Array {
  return jsonBytes(map);
}

/** Reads and checks a map written by encodePartitionMap. Throws MILL_RECORD_INVALID. */
export function decodePartitionMap(bytes: Uint8Array): PartitionMap {
  return partitionMapFrom(readRecord(what, () => jsonFrom(bytes)));
}

/** `value` itself, once it is known for a map whose owners are all among its shards. Throws MILL_RECORD_INVALID. */
export function partitionMapFrom(value: unknown): PartitionMap {
  const map: PartitionMap = checkedRecord<Omit<PartitionMap, 'former'>>(what, value, {
    model: 'text',
    epoch: 'count',
    shards: 'list',
    owners: 'list',
  });
  if (!map.shards.every((shard) => typeof shard === 'string'))
    throw recordInvalid(what, 'shards: names', 'others');
  const isPlace = (place: unknown) => isCount(place) && place < map.shards.length;
  if (!map.owners.every((owners) => Array.isArray(owners) && owners.every(isPlace)))
    throw recordInvalid(what, 'owners: places in shards', 'others');
  const former: unknown = map.former ?? [];
  const isFormer = (places: unknown) => Array.isArray(places) && places.every(isPlace);
  if (!Array.isArray(former) || !former.every(isFormer) || ![0, map.owners.length].includes(former.length))
    throw recordInvalid(what, 'former: places in shards, for each partition', 'others');
  return map;
}
