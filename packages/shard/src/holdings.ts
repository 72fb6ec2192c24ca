/**
 * Keeps what this shard holds in line with the partition maps: takes on what a map gives it, holds on to what it is to serve
 * until others can, lets go of the rest. Taking on takes time and goes on by itself; a newer map is acted on meanwhile.
 */
import { createStaleness, fingerprintOf, type PartitionState, type Staleness } from '@millrace/core';
import {
  decodeHeads,
  headsSubject,
  type ModelFile,
  type ModelLease,
  modelNameFrom,
  type PartitionMap,
} from '@millrace/protocol';
import type { Bus, Clock, ClusterView, Logger, LogReader } from '@millrace/runtime';
import type { Archive } from '@millrace/snapshot';
import { leaseFrom } from './model-lease.ts';
import { createModelShard, isReadable, type ModelShard } from './model-shard.ts';
import type { PartitionFollower } from './partition-follower.ts';
import { holdPartition, type PartitionHolding } from './partition-holding.ts';
import type { Holdings } from './pull-handler.ts';
import { type RestoreReport, reportRestores } from './restore-report.ts';
import { createRowUpdates, type RowUpdates } from './row-updates.ts';
import { createTelling } from './telling.ts';
import { createTurns } from './turns.ts';

/** Restores are bound by the store's bandwidth, so more at a time would only have all of them finish late. */
const restoresAtOnceMax = 4;

/** What a shard holds of one model. */
export interface HeldModel {
  readonly shard: ModelShard;
  readonly holdings: ReadonlyMap<number, PartitionHolding>;
  readonly staleness: Staleness;
  /** Of the map that was acted on last. */
  readonly epoch: number;
  readonly owned: ReadonlySet<number>;
}

/** A partition that answers reads. */
export interface ReadablePartition {
  readonly shard: ModelShard;
  readonly partition: number;
  readonly state: PartitionState;
  readonly follower: PartitionFollower;
}

export interface HoldingsKeeper extends Holdings {
  /** Acts on the maps as they are now. Calls are queued, so they never overlap; none waits for a restore. */
  reconcile(): Promise<void>;
  leases(): readonly ModelLease[];
  /** Those that answer reads now. */
  readable(): readonly ReadablePartition[];
  /** Partitions whose state neither log nor snapshots give. */
  readonly goneCount: number;
  /**
   * True once the maps of all models have been acted on, name this shard, and all that they make it own answers reads.
   * A cluster without models has nothing to wait for.
   */
  readonly ready: boolean;
  close(): Promise<void>;
}

export interface HoldingsOptions {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly view: ClusterView;
  readonly shard: string;
  /** Null: every start folds the log from its beginning. */
  readonly archive: Archive | null;
  /** What routing depends on has changed: a partition became readable, or is no more. */
  readonly onChange: () => void;
  /** A partition was restored that has so many rows. */
  readonly onRestored: (rows: number) => void;
  /** A log cannot be followed any more; the process should end and start anew. */
  readonly onFailed: (error: Error) => void;
}

interface OwnModel extends HeldModel {
  readonly holdings: Map<number, PartitionHolding>;
  readonly heads: LogReader;
  readonly updates: RowUpdates;
  epoch: number;
  owned: ReadonlySet<number>;
}

export function createHoldings(options: HoldingsOptions): HoldingsKeeper {
  return new OwnHoldings(options);
}

class OwnHoldings implements HoldingsKeeper {
  readonly models = new Map<string, ModelShard>();
  readonly tables = new Map<number, { shard: ModelShard; table: number }>();
  readonly #options: HoldingsOptions;
  readonly #held = new Map<string, OwnModel>();
  readonly #turns = createTurns(restoresAtOnceMax);
  readonly #report: RestoreReport;
  #queue: Promise<void> = Promise.resolve();
  #reconciled = false;
  #closed = false;

  constructor(options: HoldingsOptions) {
    this.#options = options;
    const { clock, logger } = options;
    this.#report = reportRestores({ clock, logger, holdings: () => this.#all() });
  }

  mapOf(model: string): PartitionMap | null {
    return this.#options.view.mapOf(model);
  }

  reconcile(): Promise<void> {
    const turn = this.#queue.then(async () => {
      if (this.#closed) return;
      for (const file of this.#options.view.models.values()) await this.#reconcileModel(file);
      this.#reconciled = true;
    });
    // A turn that failed is told to its caller; the turns after it are not held up.
    this.#queue = turn.catch(() => {});
    return turn;
  }

  leases(): readonly ModelLease[] {
    const nowMs = this.#options.clock.monotonicMs();
    return [...this.#held.values()].map((model) => leaseFrom(model, nowMs));
  }

  readable(): readonly ReadablePartition[] {
    return [...this.#held.values()].flatMap(({ shard, holdings }) =>
      [...holdings.values()].flatMap(({ partition, follower }) => {
        const state = shard.states[partition];
        if (state === null || follower === null || !isReadable(shard, partition)) return [];
        return [{ shard, partition, state, follower }];
      }),
    );
  }

  get goneCount(): number {
    return this.#all().filter(({ phase }) => phase === 'gone').length;
  }

  get ready(): boolean {
    if (!this.#reconciled) return false;
    const { view, shard } = this.#options;
    return [...view.models.keys()].every((name) => {
      const map = view.mapOf(name);
      const model = this.#held.get(name);
      if (!map?.shards.includes(shard) || model?.epoch !== map.epoch) return false;
      return [...model.owned].every((partition) => isReadable(model.shard, partition));
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#queue;
    this.#report.close();
    for (const { heads, updates } of this.#held.values()) {
      await heads.close();
      await updates.close();
    }
    await Promise.all(this.#all().map((holding) => holding.drop()));
  }

  #all(): readonly PartitionHolding[] {
    return [...this.#held.values()].flatMap(({ holdings }) => [...holdings.values()]);
  }

  async #reconcileModel(file: ModelFile): Promise<void> {
    const { view, shard, logger } = this.#options;
    const map = view.mapOf(file.name);
    if (!map) return;
    const model = this.#held.get(file.name) ?? this.#addModel(file);
    const place = map.shards.indexOf(shard);
    const wanted = new Set<number>();
    const owned = new Set<number>();
    for (let partition = 0; partition < map.owners.length; partition += 1) {
      const isOwner = map.owners[partition].includes(place);
      if (isOwner) owned.add(partition);
      if (isOwner || map.former?.[partition]?.includes(place)) wanted.add(partition);
    }
    model.epoch = map.epoch;
    model.owned = owned;
    const released = [...model.holdings.values()].filter(({ partition }) => !wanted.has(partition));
    for (const { partition } of released) model.holdings.delete(partition);
    const dropped = Promise.all(released.map((holding) => holding.drop()));
    for (const partition of wanted) {
      if (!model.holdings.has(partition)) model.holdings.set(partition, this.#takeOn(model, partition));
    }
    this.#report.watch();
    await dropped;
    if (released.length > 0)
      logger.info({ model: file.name, epoch: map.epoch, released: released.length }, 'partitions released');
  }

  #takeOn({ shard, updates }: OwnModel, partition: number): PartitionHolding {
    const { bus, clock, logger, archive, onChange, onRestored, onFailed } = this.#options;
    const turns = this.#turns;
    const onNews = () => {
      this.#report.watch();
      onChange();
    };
    return holdPartition({
      bus,
      clock,
      logger,
      shard,
      partition,
      archive,
      turns,
      watch: updates,
      onChange: onNews,
      onRestored,
      onFailed,
    });
  }

  #addModel(file: ModelFile): OwnModel {
    const { bus, clock, view } = this.#options;
    const shard = createModelShard(file);
    const updates = createRowUpdates({
      bus,
      clock,
      model: file.name,
      fingerprint: fingerprintOf(file),
      tells: createTelling({ clock, view, shard: this.#options.shard, model: shard }),
    });
    const staleness = createStaleness();
    const heads = bus.onNotice(headsSubject(modelNameFrom(file.name)), (payload) => {
      staleness.note(decodeHeads(payload).partitions, clock.monotonicMs());
    });
    const model: OwnModel = {
      shard,
      holdings: new Map(),
      staleness,
      heads,
      updates,
      epoch: 0,
      owned: new Set(),
    };
    this.#held.set(file.name, model);
    this.models.set(file.name, shard);
    shard.layouts.forEach((layout, table) => {
      this.tables.set(layout.tableId, { shard, table });
    });
    return model;
  }
}
