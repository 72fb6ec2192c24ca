/**
 * Writes snapshots of what this shard holds, one partition at a time: to the directory of its own, and for partitions of
 * which it is the first ready holder to the store that all share.
 *
 *   hold the follower ─▶ capture in slices ─▶ clear the change marks ─▶ release ─▶ write ─▶ prune ─▶ trim the log
 *
 * Only the partition's own follower waits, and only for the capture: reads and other partitions go on between slices. The
 * log is trimmed behind the oldest snapshot kept, once as many as are wanted are there and each was read back whole. What
 * fails is tried again at the next round, and nothing is trimmed for it.
 */
import { changesOf, clearChanged, fingerprintOf, type PartitionState, partitionRows } from '@millrace/core';
import { gradientsSubject, MillraceError, modelNameFrom, type Sequence } from '@millrace/protocol';
import type { Bus, Clock, Logger, Timer } from '@millrace/runtime';
import {
  type Archive,
  capturePartition,
  createWholeSnapshots,
  type FoldId,
  oldestFullOf,
  type SnapshotName,
  snapshotPath,
  trimBehind,
  type WholeSnapshots,
} from '@millrace/snapshot';
import type { ReadablePartition } from './holdings.ts';
import type { ShardMetrics } from './shard-metrics.ts';
import { type ChainMark, captureBase, chainAfter } from './snapshot-policy.ts';

/** Pulls wait at most about so long for a slice of a capture; one block of a snapshot takes about as long. */
const sliceMsMax = 0.5;

/** An eighth of the time is for snapshots at most: the slowest pulls in a hundred are then hardly those that meet one. */
const restShare = 7;
/** A store that does not answer takes long to say so, and is not to be waited for as if work had been done. */
const restMsMax = 60_000;

/** `own` is this shard's directory, `shared` is everybody's. */
export type StoreName = 'own' | 'shared';

export interface SnapshotWriterOptions {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: ShardMetrics;
  readonly archive: Archive;
  readonly hasOwn: boolean;
  readonly hasShared: boolean;
  /** True when a snapshot was found to be damaged by this process. */
  readonly isDamaged: (store: StoreName, path: string) => boolean;
  /** Pause between two rounds, ms; 0: none is ever written. */
  readonly everyMs: number;
  /** Full snapshots kept of each partition. */
  readonly chains: number;
  readonly readable: () => readonly ReadablePartition[];
  /** True when this shard writes a partition's snapshots to the shared store. */
  readonly writesShared: (model: string, partition: number) => boolean;
}

export interface SnapshotWriter {
  /** Looks at every partition once. Never rejects. */
  round(): Promise<void>;
  /** Ends between two slices; what is being written is written to its end. */
  close(): Promise<void>;
}

/** What is known of the snapshots of one state; another state of the same partition has another. */
interface History {
  markedSince: Sequence | null;
  readonly chains: Map<StoreName, ChainMark>;
  /** Sequences at which somebody else's snapshot was found, so that an idle partition is not looked up each round. */
  readonly found: Map<StoreName, Sequence>;
  /** Stores where the newest write failed, so that what lies there may be damaged. */
  readonly suspect: Set<StoreName>;
  /** Stores with a full snapshot that was not yet followed by a prune. */
  readonly unpruned: Set<StoreName>;
  /** Those of the shared store. */
  readonly whole: WholeSnapshots;
}

interface Captured {
  readonly name: SnapshotName;
  readonly blocks: readonly Uint8Array[];
}

export function startSnapshots(options: SnapshotWriterOptions): SnapshotWriter {
  const writer = new Writer(options);
  writer.schedule();
  return writer;
}

class Writer implements SnapshotWriter {
  readonly #options: SnapshotWriterOptions;
  readonly #histories = new WeakMap<PartitionState, History>();
  #timer: Timer = { cancel() {} };
  #restTimer: Timer = { cancel() {} };
  #endRest: () => void = () => {};
  #running: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: SnapshotWriterOptions) {
    this.#options = options;
  }

  schedule(): void {
    const { clock, everyMs } = this.#options;
    if (this.#closed || everyMs === 0) return;
    this.#timer = clock.setTimer(everyMs, () => void this.round().then(() => this.schedule()));
  }

  round(): Promise<void> {
    this.#running = this.#running.then(async () => {
      for (const target of this.#options.readable()) {
        if (this.#closed) return;
        const startedMs = this.#options.clock.monotonicMs();
        await this.#snapshot(target);
        await this.#rest(startedMs);
      }
    });
    return this.#running;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#timer.cancel();
    this.#restTimer.cancel();
    this.#endRest();
    await this.#running;
  }

  /** Leaves the machine to pulls and updates for restShare times as long as a snapshot has taken, within bounds. */
  async #rest(sinceMs: number): Promise<void> {
    const { clock } = this.#options;
    const tookMs = clock.monotonicMs() - sinceMs;
    if (tookMs < 1 || this.#closed) return;
    await new Promise<void>((resolve) => {
      this.#endRest = resolve;
      this.#restTimer = clock.setTimer(Math.min(restShare * tookMs, restMsMax), resolve);
    });
  }

  async #snapshot(target: ReadablePartition): Promise<void> {
    const history = this.#historyOf(target);
    const stores = this.#storesFor(target, history);
    const due: StoreName[] = [];
    for (const store of stores) {
      const isDue = await this.#attempt(store, target, () => this.#isDue(store, target, history));
      if (isDue) due.push(store);
    }
    const captured = due.length > 0 ? await this.#capture(target, history, due) : null;
    if (captured !== null) {
      for (const store of due)
        await this.#attempt(store, target, () => this.#store(store, target, history, captured));
    }
    for (const store of stores) {
      if (!history.unpruned.has(store)) continue;
      await this.#attempt(store, target, async () => {
        await this.#prune(store, target, history);
        history.unpruned.delete(store);
      });
    }
  }

  #historyOf(target: ReadablePartition): History {
    const { state } = target;
    const known = this.#histories.get(state);
    if (known) return known;
    const history: History = {
      markedSince: null,
      chains: new Map(),
      found: new Map(),
      suspect: new Set(),
      unpruned: new Set(),
      whole: createWholeSnapshots(this.#options.archive, 'shared', foldOf(target)),
    };
    this.#histories.set(state, history);
    return history;
  }

  #storesFor({ shard, partition }: ReadablePartition, history: History): readonly StoreName[] {
    const { hasOwn, hasShared, writesShared } = this.#options;
    const isShared = hasShared && writesShared(shard.file.name, partition);
    // While another writes there, what this process left may be pruned.
    if (!isShared) history.chains.delete('shared');
    return [...(hasOwn ? (['own'] as const) : []), ...(isShared ? (['shared'] as const) : [])];
  }

  /** False where the state as it is lies in the store already: written by this process, an earlier one or another owner. */
  async #isDue(store: StoreName, target: ReadablePartition, history: History): Promise<boolean> {
    const { sequence } = target.state;
    if (sequence === 0) return false;
    const chain = history.chains.get(store);
    if (chain) return chain.sequence < sequence;
    if (history.suspect.has(store)) return true;
    if (history.found.get(store) === sequence) return false;
    const of = foldOf(target);
    const [newest] = await this.#options.archive.list(store, of);
    if (newest?.sequence !== sequence || this.#options.isDamaged(store, snapshotPath(of, newest)))
      return true;
    history.found.set(store, sequence);
    return false;
  }

  async #capture(
    { shard, partition, state, follower }: ReadablePartition,
    history: History,
    stores: readonly StoreName[],
  ): Promise<Captured | null> {
    await follower.hold();
    try {
      // It may have been let go, or have begun anew.
      if (shard.states[partition] !== state) return null;
      const base = captureBase({
        markedSince: history.markedSince,
        rows: partitionRows(state),
        changedRows: state.tables.reduce((sum, table) => sum + changesOf(table), 0),
        chains: stores.map((store) => history.chains.get(store) ?? null),
      });
      const { sequence } = state;
      const blocks = await this.#inSlices(capturePartition(state, base));
      if (blocks === null) return null;
      for (const table of state.tables) clearChanged(table);
      history.markedSince = sequence;
      return { name: { sequence, base }, blocks };
    } finally {
      follower.release();
    }
  }

  /** Null when the writer was closed on the way. */
  async #inSlices(blocks: Iterable<Uint8Array>): Promise<readonly Uint8Array[] | null> {
    const { clock } = this.#options;
    const taken: Uint8Array[] = [];
    let sliceStartMs = clock.monotonicMs();
    for (const block of blocks) {
      taken.push(block);
      if (clock.monotonicMs() - sliceStartMs < sliceMsMax) continue;
      await new Promise<void>((resolve) => clock.setTimer(0, resolve));
      if (this.#closed) return null;
      sliceStartMs = clock.monotonicMs();
    }
    return taken;
  }

  async #store(
    store: StoreName,
    target: ReadablePartition,
    history: History,
    captured: Captured,
  ): Promise<void> {
    const { sequence, base } = captured.name;
    const chain = history.chains.get(store) ?? null;
    // Until it is known to be there, what lies in the store is not to be built on.
    history.chains.delete(store);
    history.suspect.add(store);
    await this.#write(store, target, captured);
    if (store === 'shared' && base === null) {
      history.whole.forget(sequence);
      if (!(await history.whole.isWhole(sequence)))
        throw new MillraceError(
          'MILL_SNAPSHOT_INVALID',
          `the snapshot of ${target.shard.file.name}/${target.partition} at ${sequence} was not found whole after it was written`,
        );
    }
    history.suspect.delete(store);
    history.chains.set(store, chainAfter(chain, sequence, base));
    if (base === null) history.unpruned.add(store);
  }

  async #write(store: StoreName, target: ReadablePartition, { name, blocks }: Captured): Promise<void> {
    const { archive, clock, logger, metrics } = this.#options;
    const startedMs = clock.monotonicMs();
    await archive.write(store, foldOf(target), name, blocks);
    const durationMs = clock.monotonicMs() - startedMs;
    const bytes = blocks.reduce((sum, { length }) => sum + length, 0);
    metrics.snapshotWritten(store, bytes, durationMs / 1_000);
    const { shard, partition, state } = target;
    const rows = partitionRows(state);
    logger.info(
      { model: shard.file.name, partition, store, ...name, bytes, rows, durationMs: Math.round(durationMs) },
      'snapshot written',
    );
  }

  /** Forgets old snapshots, then what the log holds from before the oldest that is left. */
  async #prune(store: StoreName, target: ReadablePartition, history: History): Promise<void> {
    const { archive, bus, chains, clock } = this.#options;
    const of = foldOf(target);
    const isShared = store === 'shared';
    const oldest = isShared
      ? await history.whole.oldestOf(chains)
      : oldestFullOf(await archive.list(store, of), chains);
    if (oldest === null) return;
    await archive.prune(store, of, oldest);
    if (!isShared) return;
    const subject = gradientsSubject(modelNameFrom(of.model), target.partition);
    await trimBehind(bus, { log: 'gradients', subject }, oldest + 1, clock.now());
  }

  /** The result of `work`, undefined when it failed: that is told and counted, and tried again at the next round. */
  async #attempt<Result>(
    store: StoreName,
    { shard, partition }: ReadablePartition,
    work: () => Promise<Result>,
  ): Promise<Result | undefined> {
    try {
      return await work();
    } catch (error) {
      const { logger, metrics } = this.#options;
      metrics.snapshotFailed(store);
      logger.warn({ model: shard.file.name, partition, store, err: error }, 'snapshot not written');
      return undefined;
    }
  }
}

function foldOf({ shard, partition }: ReadablePartition): FoldId {
  return { model: shard.file.name, fingerprint: fingerprintOf(shard.file), fold: partition };
}
