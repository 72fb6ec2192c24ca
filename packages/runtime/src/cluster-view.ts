/**
 * What a process knows of its cluster: models, partition maps and which shards live. It follows the key-value buckets and
 * tells when something changed. A shard lives while its lease keeps changing, by this process's own clock.
 */
import {
  decodePartitionMap,
  decodeShardLease,
  jsonFrom,
  leaseLapseMs,
  leaseRenewMs,
  MillraceError,
  type ModelFile,
  type PartitionMap,
  reasonFrom,
  type ShardLease,
  stalenessMsMaxDefault,
} from '@millrace/protocol';
import { createAwaitedShards } from './awaited-shards.ts';
import type { Bus, KvChange, KvEntry, LogReader } from './bus.ts';
import type { Clock } from './clock.ts';
import type { Logger } from './logger.ts';

export interface ShardSight {
  readonly lease: ShardLease;
  /** False once the lease has lapsed. */
  readonly live: boolean;
}

export interface ClusterView {
  /** Model files by name. */
  readonly models: ReadonlyMap<string, ModelFile>;
  mapOf(model: string): PartitionMap | null;
  /** Key-value revision of the map, 0 when there is none; for compare-and-set. */
  mapRevisionOf(model: string): number;
  /** Takes a map that a shard sent with a refusal, if it is newer. */
  offerMap(map: PartitionMap): void;
  /** All shards seen, by id; lapsed ones stay for status until they have been gone for an hour. */
  shards(): readonly ShardSight[];
  /**
   * True while nobody's lease comes through: this process is cut off, or NATS is. Leases that lapse meanwhile say nothing of
   * their shards, so nothing that lasts may be decided from them.
   */
  readonly quiet: boolean;
  /**
   * True for a shard that a map names and whose lease has not come through yet, for at most as long as a lease lasts: it may
   * be gone as well as there, so nothing may be decided from its absence.
   */
  isAwaited(shard: string): boolean;
  /** Calls `listener` after every change, lapses included; returns a function that ends it. */
  onChange(listener: () => void): () => void;
  /** Resolves once `condition` holds, which is looked at after every change. Rejects with MILL_TIMEOUT after `limitMs`. */
  waitFor(condition: () => boolean, limitMs: number): Promise<void>;
  close(): Promise<void>;
}

export interface ClusterViewOptions {
  /** Staleness at which a shard's rows count as late, ms; 0: none does. A shard that crosses it is news. */
  readonly stalenessMsMax?: number;
}

interface Sighting {
  readonly lease: ShardLease;
  seenAtMs: number;
  live: boolean;
}

const checkEveryMs = 500;
/** Nobody's lease for so long: the leases' way is blocked, as when the leader of their bucket died, rather than every shard. */
const quietMs = 2.5 * leaseRenewMs;
const forgetAfterMs = 3_600_000;

/**
 * Reads the buckets as they are, then follows them. A value that cannot be read is reported and passed over, and what was
 * known of its key stays: one bad write must not blind every process of the cluster.
 */
export async function watchCluster(
  bus: Bus,
  clock: Clock,
  logger?: Logger,
  { stalenessMsMax = stalenessMsMaxDefault }: ClusterViewOptions = {},
): Promise<ClusterView> {
  const models = new Map<string, ModelFile>();
  const maps = new Map<string, { map: PartitionMap; revision: number }>();
  const sightings = new Map<string, Sighting>();
  const awaited = createAwaitedShards();
  const listeners = new Set<() => void>();
  let newestLeaseMs = Number.NEGATIVE_INFINITY;
  const tell = () => {
    for (const listener of [...listeners]) listener();
  };

  const read = <T>({ key, value, revision }: KvEntry, decode: (bytes: Uint8Array) => T): T | null => {
    try {
      return decode(value);
    } catch (error) {
      logger?.error({ key, revision, reason: reasonFrom(error) }, 'stored value passed over');
      return null;
    }
  };

  const onModel = (change: KvChange) => {
    if (change.kind === 'put') {
      const file = read(change.entry, jsonFrom) as ModelFile | null;
      if (!file) return;
      models.set(change.entry.key, file);
    } else models.delete(change.key);
    tell();
  };
  const named = () => new Set([...maps.values()].flatMap(({ map }) => map.shards));
  const onMap = (change: KvChange) => {
    if (change.kind === 'put') {
      const map = read(change.entry, decodePartitionMap);
      if (!map) return;
      maps.set(change.entry.key, { map, revision: change.entry.revision });
    } else maps.delete(change.key);
    awaited.onNamed(named(), (shard) => sightings.has(shard), clock.monotonicMs());
    tell();
  };
  const onLease = (change: KvChange) => {
    if (change.kind === 'delete') {
      sightings.delete(change.key);
      awaited.settle(change.key);
      tell();
      return;
    }
    const lease = read(change.entry, decodeShardLease);
    if (!lease) return;
    const nowMs = clock.monotonicMs();
    const heard = nowMs - newestLeaseMs > quietMs && hearAgain(nowMs);
    newestLeaseMs = nowMs;
    const before = sightings.get(lease.shard);
    sightings.set(lease.shard, { lease, seenAtMs: nowMs, live: true });
    awaited.settle(lease.shard);
    if (heard || !before?.live || isNews(before.lease, lease, stalenessMsMax)) tell();
  };
  /** The first lease after a silence: who lived when it began has its full time again, or maps would change for nothing. */
  const hearAgain = (nowMs: number): boolean => {
    let changed = false;
    awaited.restart(nowMs);
    for (const sighting of sightings.values()) {
      if (newestLeaseMs - sighting.seenAtMs > leaseLapseMs) continue;
      changed ||= !sighting.live;
      sighting.live = true;
      sighting.seenAtMs = nowMs;
    }
    return changed;
  };

  let wasConnected = true;
  const check = () => {
    timer = clock.setTimer(checkEveryMs, check);
    const nowMs = clock.monotonicMs();
    // Without NATS nobody's lease comes through, which says nothing of the shards. Once it is back, each has its full time.
    const isBack = bus.connected && !wasConnected;
    wasConnected = bus.connected;
    if (!wasConnected) return;
    if (isBack) awaited.restart(nowMs);
    let changed = awaited.lapse(nowMs);
    for (const [shard, sighting] of sightings) {
      if (isBack && sighting.live) sighting.seenAtMs = nowMs;
      const ageMs = nowMs - sighting.seenAtMs;
      if (sighting.live && ageMs > leaseLapseMs) {
        sighting.live = false;
        changed = true;
      }
      if (ageMs > forgetAfterMs) sightings.delete(shard);
    }
    if (changed) tell();
  };

  const readers: LogReader[] = [];
  readers.push(await (await bus.kv('models')).watch(onModel));
  readers.push(await (await bus.kv('maps')).watch(onMap));
  const namedBefore = named();
  readers.push(await (await bus.kv('shards')).watch(onLease));
  // The leases as they are now are newer than those maps: who has none has lost it.
  for (const shard of namedBefore) awaited.settle(shard);
  let timer = clock.setTimer(checkEveryMs, check);

  return {
    models,
    mapOf: (model) => maps.get(model)?.map ?? null,
    mapRevisionOf: (model) => maps.get(model)?.revision ?? 0,
    offerMap(map) {
      const known = maps.get(map.model);
      if (known && known.map.epoch >= map.epoch) return;
      maps.set(map.model, { map, revision: known?.revision ?? 0 });
      tell();
    },
    shards: () => [...sightings.values()].map(({ lease, live }) => ({ lease, live })),
    get quiet() {
      return !bus.connected || clock.monotonicMs() - newestLeaseMs > quietMs;
    },
    isAwaited: awaited.has,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    waitFor(condition, limitMs) {
      if (condition()) return Promise.resolve();
      return new Promise((resolve, reject) => {
        const limit = clock.setTimer(limitMs, () => {
          listeners.delete(look);
          reject(
            new MillraceError('MILL_TIMEOUT', `the cluster did not change as awaited within ${limitMs} ms`),
          );
        });
        const look = () => {
          if (!condition()) return;
          listeners.delete(look);
          limit.cancel();
          resolve();
        };
        listeners.add(look);
      });
    },
    async close() {
      timer.cancel();
      listeners.clear();
      for (const reader of readers.reverse()) await reader.close();
    },
  };
}

/**
 * Renewals come every second; only what routing depends on is news: where a shard is, whether it leaves, which partitions
 * it answers for, and whether its rows are late.
 */
function isNews(before: ShardLease, now: ShardLease, stalenessMsMax: number): boolean {
  const routing = (lease: ShardLease) => [
    lease.startedMs,
    lease.host,
    lease.port,
    lease.zone,
    lease.draining,
    ...lease.models.map(({ model, epoch, ready, readyPartitions, stalenessMs }) =>
      [model, epoch, ready, readyPartitions, latenessOf(stalenessMs, stalenessMsMax)].join(' '),
    ),
  ];
  return JSON.stringify(routing(before)) !== JSON.stringify(routing(now));
}

/** 0 within the bound, then one more each time that staleness has doubled: who lags most may change among those that do. */
function latenessOf(stalenessMs: number | null, stalenessMsMax: number): number {
  if (stalenessMsMax === 0 || stalenessMs === null || stalenessMs <= stalenessMsMax) return 0;
  return 1 + Math.floor(Math.log2(stalenessMs / stalenessMsMax));
}
