/**
 * Keeps what this shard holds in line with the partition maps: takes new partitions on, follows their logs, lets go of those
 * that others own and have ready.
 */
import { createStaleness, partitionBytes, partitionRows, partitionsOf, type Staleness } from '@millrace/core';
import {
  decodeHeads,
  headsSubject,
  type ModelFile,
  type ModelLease,
  modelNameFrom,
  partitionSetText,
} from '@millrace/protocol';
import type { Bus, Clock, ClusterView, Logger, LogReader } from '@millrace/runtime';
import {
  createModelShard,
  dropPartition,
  isReadable,
  type ModelShard,
  openPartition,
  takePartition,
} from './model-shard.ts';
import { followPartition, type PartitionFollower } from './partition-follower.ts';
import type { Holdings } from './pull-handler.ts';

interface HeldModel {
  readonly shard: ModelShard;
  readonly followers: Map<number, PartitionFollower>;
  readonly staleness: Staleness;
  readonly heads: LogReader;
  epoch: number;
  owned: ReadonlySet<number>;
}

export interface HoldingsKeeper extends Holdings {
  /** Acts on the maps as they are now. Calls are queued, so they never overlap. */
  reconcile(): Promise<void>;
  leases(): readonly ModelLease[];
  close(): Promise<void>;
}

export interface HoldingsOptions {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly view: ClusterView;
  readonly shard: string;
  /** A partition became readable. */
  readonly onReady: () => void;
  /** A log cannot be followed any more; the process should end and start anew. */
  readonly onFailed: (error: Error) => void;
}

export function createHoldings(options: HoldingsOptions): HoldingsKeeper {
  const { bus, clock, logger, view } = options;
  const held = new Map<string, HeldModel>();
  const models = new Map<string, ModelShard>();
  const tables = new Map<number, { shard: ModelShard; table: number }>();
  let queue: Promise<void> = Promise.resolve();
  let closed = false;

  const addModel = (file: ModelFile): HeldModel => {
    const shard = createModelShard(file);
    const staleness = createStaleness();
    const heads = bus.onNotice(headsSubject(modelNameFrom(file.name)), (payload) => {
      staleness.note(decodeHeads(payload).partitions, clock.monotonicMs());
    });
    const model: HeldModel = { shard, followers: new Map(), staleness, heads, epoch: 0, owned: new Set() };
    held.set(file.name, model);
    models.set(file.name, shard);
    shard.layouts.forEach((layout, table) => {
      tables.set(layout.tableId, { shard, table });
    });
    return model;
  };

  const takeOn = async (model: HeldModel, partition: number) => {
    const { shard } = model;
    const name = shard.file.name;
    const state = takePartition(shard, partition);
    const following = followPartition(bus, state, {
      onCaughtUp() {
        openPartition(shard, partition);
        options.onReady();
      },
      onRejected: (sequence, reason) =>
        logger.error({ model: name, partition, sequence, reason }, 'block rejected'),
      onHole: (sequence) => logger.error({ model: name, partition, sequence }, 'log lacks a block'),
      onFailed: options.onFailed,
    });
    try {
      model.followers.set(partition, await following);
    } catch (error) {
      // What nobody follows must not look held, or no later call would follow it.
      dropPartition(shard, partition);
      throw error;
    }
  };

  const letGo = async (model: HeldModel, partition: number) => {
    await model.followers.get(partition)?.close();
    model.followers.delete(partition);
    dropPartition(model.shard, partition);
  };

  const reconcileModel = async (file: ModelFile) => {
    const map = view.mapOf(file.name);
    if (!map) return;
    const model = held.get(file.name) ?? addModel(file);
    const owned = new Set(partitionsOf(map, options.shard));
    model.epoch = map.epoch;
    model.owned = owned;
    for (const partition of owned) {
      if (model.shard.states[partition] === null) await takeOn(model, partition);
    }
    const released = [...model.followers.keys()].filter((partition) => !owned.has(partition));
    if (released.length === 0 || !othersAreReady(view, file.name, map)) return;
    for (const partition of released) await letGo(model, partition);
    logger.info({ model: file.name, epoch: map.epoch, released: released.length }, 'partitions released');
  };

  return {
    models,
    tables,
    mapOf: (model) => view.mapOf(model),
    reconcile() {
      const turn = queue.then(async () => {
        if (closed) return;
        for (const file of view.models.values()) await reconcileModel(file);
      });
      // A turn that failed is told to its caller; the turns after it are not held up.
      queue = turn.catch(() => {});
      return turn;
    },
    leases: () => [...held.values()].map((model) => leaseOf(model, clock.monotonicMs())),
    async close() {
      closed = true;
      await queue;
      for (const model of held.values()) {
        await model.heads.close();
        for (const follower of model.followers.values()) await follower.close();
      }
    },
  };
}

/** True when every owner by this map says that all its partitions answer reads at this epoch. */
function othersAreReady(
  view: ClusterView,
  model: string,
  map: { epoch: number; shards: readonly string[] },
): boolean {
  const sights = new Map(view.shards().map((sight) => [sight.lease.shard, sight]));
  return map.shards.every((id) => {
    const sight = sights.get(id);
    const lease = sight?.live ? sight.lease.models.find((entry) => entry.model === model) : undefined;
    return lease !== undefined && lease.epoch >= map.epoch && lease.ready >= lease.partitions;
  });
}

function leaseOf(model: HeldModel, nowMs: number): ModelLease {
  const { shard, owned, staleness } = model;
  const counts = { rows: 0, bytes: 0, sequence: 0, applied: 0, duplicates: 0, rejected: 0, ready: 0 };
  const partitions: number[] = [];
  const sequences: number[] = [];
  for (const partition of owned) {
    const state = shard.states[partition];
    if (!state) continue;
    counts.rows += partitionRows(state);
    counts.bytes += partitionBytes(state);
    counts.sequence = Math.max(counts.sequence, state.sequence);
    counts.applied += state.counts.applied;
    counts.duplicates += state.counts.duplicates;
    counts.rejected += state.counts.rejected;
    if (isReadable(shard, partition)) counts.ready += 1;
    partitions.push(partition);
    sequences.push(state.sequence);
  }
  const stalenessMs = staleness.ofRead(partitions, sequences, partitions.length, nowMs);
  const readyPartitions = partitionSetText(shard.partitions, (partition) => isReadable(shard, partition));
  return {
    model: shard.file.name,
    epoch: model.epoch,
    partitions: owned.size,
    readyPartitions,
    behind: 0,
    ...counts,
    stalenessMs,
  };
}
