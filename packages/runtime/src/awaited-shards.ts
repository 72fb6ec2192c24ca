/**
 * Shards that a map names and whose lease has not come. Buckets are followed each at its own pace, so a map may be here before
 * the lease of a shard that it rests on: such a shard is no more gone than it is there, until it had the time to be heard.
 */
import { leaseLapseMs } from '@millrace/protocol';

export interface AwaitedShards {
  has(shard: string): boolean;
  /** The maps name these now, of which those that are not known are awaited; what no map names any more is forgotten. */
  onNamed(shards: ReadonlySet<string>, isKnown: (shard: string) => boolean, nowMs: number): void;
  /** Its lease has come or was taken away, or is known not to be there. */
  settle(shard: string): void;
  /** Nothing could be heard until now: each has its full time again. */
  restart(nowMs: number): void;
  /** Gives up those who had their time; true when there were some. */
  lapse(nowMs: number): boolean;
}

export function createAwaitedShards(): AwaitedShards {
  /** By shard: since when; null when there is nothing to wait for, be it that it lives or that it counts as gone. */
  const sinceMs = new Map<string, number | null>();
  return {
    has: (shard) => (sinceMs.get(shard) ?? null) !== null,
    onNamed(shards, isKnown, nowMs) {
      for (const shard of sinceMs.keys()) if (!shards.has(shard)) sinceMs.delete(shard);
      for (const shard of shards) if (!isKnown(shard) && !sinceMs.has(shard)) sinceMs.set(shard, nowMs);
    },
    settle(shard) {
      sinceMs.set(shard, null);
    },
    restart(nowMs) {
      for (const [shard, since] of sinceMs) if (since !== null) sinceMs.set(shard, nowMs);
    },
    lapse(nowMs) {
      let lapsed = false;
      for (const [shard, since] of sinceMs) {
        if (since === null || nowMs - since <= leaseLapseMs) continue;
        sinceMs.set(shard, null);
        lapsed = true;
      }
      return lapsed;
    },
  };
}
