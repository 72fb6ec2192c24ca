/**
 * A shard's sign of life. Bucket mill-shards, key = shard id, value = JSON of ShardLease, rewritten every leaseRenewMs.
 * A watcher that sees no new one for leaseLapseMs (by its own clock) takes the shard for gone, so no clocks need to agree.
 */
import { jsonBytes, jsonFrom } from './packing.ts';
import { checkedRecord, isCount, readRecord, recordInvalid } from './record-checks.ts';

const what = 'shard lease';

/** A renewal costs one small write; three missed ones and a stall of a second still do not lapse. */
export const leaseRenewMs = 1_000;
/** "Disappears within seconds": clients turn away at the first refused connection, the map changes after this. */
export const leaseLapseMs = 4_000;

export interface ModelLease {
  readonly model: string;
  readonly epoch: number;
  /** Partitions owned by the map, and how many of those answer reads. */
  readonly partitions: number;
  readonly ready: number;
  /** Those that answer reads, owned or still served for others: see partition-set.ts. */
  readonly readyPartitions: string;
  /** Log messages that its partitions have still to apply, as far as it knows. */
  readonly behind: number;
  /** Partitions whose state neither log nor snapshots give (MILL_HISTORY_GONE); absent when there are none. */
  readonly gone?: number;
  readonly rows: number;
  /** Bytes of row arenas. */
  readonly bytes: number;
  /** Highest sequence applied in any partition. */
  readonly sequence: number;
  readonly applied: number;
  readonly duplicates: number;
  readonly rejected: number;
  /** Age of the newest announced log head that all its partitions have reached, ms; null before the first. */
  readonly stalenessMs: number | null;
}

export interface ShardLease {
  readonly shard: string;
  /** Ascends with every start of the process, so that an old lease is not mistaken for a new process. */
  readonly startedMs: number;
  readonly renewal: number;
  readonly host: string;
  readonly port: number;
  /** Where it runs, as its operator calls it; readers prefer their own zone. '' when nothing was said. */
  readonly zone: string;
  /** True once it leaves: no new partitions, and owners move away. */
  readonly draining: boolean;
  readonly models: readonly ModelLease[];
}

export function encodeShardLease(lease: ShardLease): Uint8Array {
  return jsonBytes(lease);
}

/** Reads and checks a lease. Throws MILL_RECORD_INVALID. */
export function decodeShardLease(bytes: Uint8Array): ShardLease {
  const value = readRecord(what, () => jsonFrom(bytes));
  const lease = checkedRecord<ShardLease>(what, value, {
    shard: 'text',
    startedMs: 'number',
    renewal: 'count',
    host: 'text',
    port: 'count',
    zone: 'text',
    draining: 'flag',
    models: 'list',
  });
  for (const model of lease.models) {
    checkedRecord<Omit<ModelLease, 'gone'>>(what, model, {
      model: 'text',
      epoch: 'count',
      partitions: 'count',
      ready: 'count',
      readyPartitions: 'text',
      behind: 'count',
      rows: 'count',
      bytes: 'count',
      sequence: 'count',
      applied: 'count',
      duplicates: 'count',
      rejected: 'count',
      stalenessMs: 'number or null',
    });
    if (model.gone !== undefined && !isCount(model.gone))
      throw recordInvalid(what, 'gone: a count', 'another');
  }
  return lease;
}
