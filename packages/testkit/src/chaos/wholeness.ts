/**
 * Tells when a cluster is whole: every process up, every partition with all its owners ready and none on its way, every
 * inference node able to score, the updater learning.
 */
import {
  decodeHeads,
  headsSubject,
  type LearningCounters,
  modelNameFrom,
  partitionSetFrom,
  replicasDefault,
  type ShardLease,
} from '@millrace/protocol';
import { type Bus, createLogger, systemClock, watchCluster } from '@millrace/runtime';
import { createMillraceClient, isMillraceError } from '@millrace/sdk';
import type { LocalClusterFixture } from '../local-cluster-fixture.ts';

export interface Wholeness {
  /**
   * What is still missing, null when nothing is.
   * @param since   what was known before the harm.
   * @param killed  process that the harm has killed, if any; only a lease of its successor counts.
   */
  missing(since: Before, killed?: string | null): Promise<string | null>;
  /** What is known now; a lease or a count of before a harm proves nothing afterwards. */
  before(): Before;
  /** Newest counters that the updater has told. */
  readonly counters: LearningCounters | null;
  close(): Promise<void>;
}

export interface Before {
  readonly learned: number;
  /** By shard. */
  readonly leases: ReadonlyMap<string, ShardLease>;
}

const readyAnswerMsMax = 1_000;

export async function watchWholeness(
  cluster: LocalClusterFixture,
  bus: Bus,
  model: string,
  shards: number,
): Promise<Wholeness> {
  const view = await watchCluster(bus, systemClock, createLogger({ service: 'chaos', level: 'silent' }));
  let counters: LearningCounters | null = null;
  const heads = bus.onNotice(headsSubject(modelNameFrom(model)), (payload) => {
    counters = decodeHeads(payload).counters;
  });
  const nodes = cluster.urls.map((url) => ({
    url,
    client: createMillraceClient({ url, timeoutMs: readyAnswerMsMax, retries: 0 }),
  }));

  const processMissing = async (): Promise<string | null> => {
    const { processes } = await cluster.sight();
    const away = processes.filter(({ ready }) => !ready);
    return away.length === 0 ? null : `${away.map(({ name }) => name).join(', ')} not up`;
  };

  const isNewer = (lease: ShardLease, before: ShardLease | undefined, killed: string | null) => {
    if (before === undefined || lease.startedMs > before.startedMs) return true;
    return lease.shard !== killed && lease.renewal > before.renewal;
  };

  const ownerMissing = ({ leases }: Before, killed: string | null): string | null => {
    const map = view.mapOf(model);
    if (map === null) return 'no partition map';
    const owners = Math.min(replicasDefault, shards);
    if (map.shards.length !== shards) return `${map.shards.length} of ${shards} shards in the map`;
    const moving = map.former?.filter((places) => places.length > 0).length ?? 0;
    if (moving > 0) return `${moving} partitions on their way`;
    const readyAt = map.shards.map((shard) => {
      const sight = view.shards().find(({ lease }) => lease.shard === shard);
      const entry = sight?.lease.models.find((candidate) => candidate.model === model);
      if (!sight?.live || entry === undefined || sight.lease.draining) return () => false;
      if (!isNewer(sight.lease, leases.get(shard), killed)) return () => false;
      return partitionSetFrom(entry.readyPartitions);
    });
    for (const [partition, places] of map.owners.entries()) {
      const ready = places.filter((place) => readyAt[place]?.(partition)).length;
      if (ready < owners) return `partition ${partition} with ${ready} of ${owners} ready owners`;
    }
    return null;
  };

  const nodeMissing = async (): Promise<string | null> => {
    for (const { url, client } of nodes) {
      try {
        if (!(await client.ready())) return `${url} not ready`;
      } catch (error) {
        if (!isMillraceError(error)) throw error;
        return `${url}: ${error.code}`;
      }
    }
    return null;
  };

  return {
    async missing(since, killed = null) {
      const missing = (await processMissing()) ?? ownerMissing(since, killed) ?? (await nodeMissing());
      if (missing !== null) return missing;
      return (counters?.learned ?? 0) > since.learned ? null : 'the updater not learning';
    },
    before: () => ({
      learned: counters?.learned ?? 0,
      leases: new Map(view.shards().map(({ lease }) => [lease.shard, lease])),
    }),
    get counters() {
      return counters;
    },
    async close() {
      await heads.close();
      await view.close();
      for (const { client } of nodes) await client.close();
    },
  };
}
