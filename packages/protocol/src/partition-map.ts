/**
 * Which shards own which partition of a model, at an epoch. Bucket mill-maps, key = model, value = JSON of PartitionMap.
 * The ring only proposes (core/placement.ts); what stands here rules. Addresses are not part of it: they come with the leases.
 */
import { invariant } from './errors.ts';
import type { Epoch } from './ids.ts';
import { jsonBytes, jsonFrom } from './packing.ts';

export interface PartitionMap {
  readonly model: string;
  readonly epoch: Epoch;
  /** Shard ids; `owners` points into it. */
  readonly shards: readonly string[];
  /** For each partition the places of its owners in `shards`, first choice first. */
  readonly owners: readonly (readonly number[])[];
}

export function encodePartitionMap(map: PartitionMap): Uint8Array {
  return jsonBytes(map);
}

/** Reads a map written by encodePartitionMap. */
export function decodePartitionMap(bytes: Uint8Array): PartitionMap {
  const map = jsonFrom(bytes) as PartitionMap;
  invariant(Array.isArray(map.owners) && Array.isArray(map.shards), 'a partition map has shards and owners');
  return map;
}
