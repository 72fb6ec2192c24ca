/**
 * One partition on this shard, from being taken on to being let go:
 *
 *   restoring ──▶ following ──▶ ready          a snapshot, the log after it, reads
 *      ▲  │           │ trimmed    │ trimmed
 *      │  └─ pause ─┐ │            │           a store or a log that does not answer, a history that is gone
 *      └────────────┴─┴────────────┘
 *
 * A state that reads have seen goes on being read while the log does not answer; one that the log was trimmed beyond is
 * dropped at once.
 */
import { fingerprintOf, type PartitionState, partitionRows } from '@millrace/core';
import { gradientsSubject, isMillraceError, MillraceError, modelNameFrom } from '@millrace/protocol';
import type { Bus, Clock, Logger, Timer } from '@millrace/runtime';
import { type Archive, isBehindTrim, trimmedBefore } from '@millrace/snapshot';
import {
  dropPartition,
  expectPartition,
  forgetState,
  type ModelShard,
  openPartition,
  takePartition,
} from './model-shard.ts';
import {
  type ApplyWatch,
  type FollowerEvents,
  followPartition,
  type PartitionFollower,
} from './partition-follower.ts';
import type { Turns } from './turns.ts';

export type HoldingPhase = 'restoring' | 'following' | 'ready' | 'gone';

export interface PartitionHolding {
  readonly partition: number;
  /** `gone`: neither log nor snapshots give its state; it is looked for again now and then. */
  readonly phase: HoldingPhase;
  /** Log messages still to be applied, as far as is known. */
  readonly behind: number;
  /** Rows read of the snapshots that its state was put together from. */
  readonly restoredRows: number;
  readonly follower: PartitionFollower | null;
  /** Lets go: reads end at once, the promise resolves when the log is not followed any more. */
  drop(): Promise<void>;
}

export interface HoldingOptions {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly shard: ModelShard;
  readonly partition: number;
  /** Null: there are no snapshots, every start folds the log from its beginning. */
  readonly archive: Archive | null;
  /** Bounds restores that run at a time, over all partitions. */
  readonly turns: Turns;
  /** Sees what is applied; null: nobody looks. Default null. */
  readonly watch?: ApplyWatch | null;
  /** It became readable, or is no more. */
  readonly onChange: () => void;
  /** A state was restored that has so many rows. */
  readonly onRestored: (rows: number) => void;
  readonly onFailed: (error: Error) => void;
}

const pauseMsMin = 500;
const pauseMsMax = 30_000;

/** Takes a partition on. Returns at once; restoring and following go on by themselves. */
export function holdPartition(options: HoldingOptions): PartitionHolding {
  const holding = new Holding(options);
  holding.start();
  return holding;
}

class Holding implements PartitionHolding {
  phase: HoldingPhase = 'restoring';
  restoredRows = 0;
  follower: PartitionFollower | null = null;
  readonly partition: number;
  readonly #options: HoldingOptions;
  readonly #logger: Logger;
  readonly #subject: string;
  #dropped = false;
  /** Which attempt counts: one that a newer one has overtaken changes nothing any more. */
  #attempts = 0;
  #failures = 0;
  #timer: Timer = { cancel() {} };

  constructor(options: HoldingOptions) {
    const { shard, partition, logger } = options;
    this.#options = options;
    this.partition = partition;
    this.#logger = logger.child({ model: shard.file.name, partition });
    this.#subject = gradientsSubject(modelNameFrom(shard.file.name), partition);
    expectPartition(shard, partition);
  }

  get behind(): number {
    return this.follower?.behind ?? 0;
  }

  start(): void {
    void this.#attempt();
  }

  async drop(): Promise<void> {
    if (this.#dropped) return;
    this.#dropped = true;
    this.#timer.cancel();
    dropPartition(this.#options.shard, this.partition);
    await this.#unfollow();
  }

  /** Restores and follows, or tries again later. Never rejects. */
  async #attempt(): Promise<void> {
    this.#timer.cancel();
    this.#attempts += 1;
    const mine = this.#attempts;
    const isOver = () => this.#dropped || mine !== this.#attempts;
    try {
      await this.#options.turns.run(async () => {
        if (isOver()) return;
        // A state that reads have seen was proven whole, so following it goes on where it stands.
        if (this.phase !== 'ready') {
          const state = await this.#restored();
          if (isOver()) return;
          takePartition(this.#options.shard, this.partition, state);
          this.phase = 'following';
        }
        await this.#follow();
      });
    } catch (error) {
      if (!isOver()) await this.#tryLater(error);
    }
  }

  async #restored(): Promise<PartitionState | null> {
    const { bus, archive, shard, partition, onRestored } = this.#options;
    const { file, layouts } = shard;
    const identity = { model: file.name, fingerprint: fingerprintOf(file), partition, layouts };
    const onRows = (rows: number) => {
      this.restoredRows = rows;
    };
    const atLeast = Math.max(0, (await trimmedBefore(bus, this.#subject)) - 1);
    let state = (await archive?.restorePartition(identity, { atLeast, onRows })) ?? null;
    // Read after the snapshot was found, so that one which is newer than the log can only mean that the log lost its tail.
    const head = await bus.headOf('gradients', this.#subject);
    if (archive !== null && state !== null && state.sequence > head) {
      this.#logger.error({ sequence: state.sequence, head }, 'snapshot is newer than the log, passed over');
      state = await archive.restorePartition(identity, { atMost: head, atLeast, onRows });
    }
    const before = await trimmedBefore(bus, this.#subject);
    if (isBehindTrim(state?.sequence ?? 0, before)) {
      throw new MillraceError(
        'MILL_HISTORY_GONE',
        `cannot restore ${file.name}/${partition}: its log begins at ${before}, and no valid snapshot reaches ${before - 1}`,
      );
    }
    if (state !== null) onRestored(partitionRows(state));
    return state;
  }

  async #follow(): Promise<void> {
    const { bus, shard, watch = null } = this.#options;
    const state = shard.states[this.partition];
    if (state === null) return;
    await this.#unfollow();
    if (this.#dropped || shard.states[this.partition] !== state) return;
    const follower = await followPartition(bus, state, this.#events(state), watch);
    // Dropped meanwhile, or stopped by what it met at once.
    if (this.#dropped || shard.states[this.partition] !== state) await follower.close();
    else this.follower = follower;
  }

  #events(state: PartitionState): FollowerEvents {
    const { shard, onChange, onFailed } = this.#options;
    const isCurrent = () => !this.#dropped && shard.states[this.partition] === state;
    return {
      onCaughtUp: () => {
        if (!isCurrent()) return;
        this.phase = 'ready';
        this.#failures = 0;
        openPartition(shard, this.partition);
        onChange();
      },
      onRejected: (sequence, reason) => this.#logger.error({ sequence, reason }, 'block rejected'),
      onHole: (sequence) => this.#logger.error({ sequence }, 'log lacks a block'),
      onTrimmed: (before) => {
        if (!isCurrent()) return;
        this.#logger.warn({ sequence: state.sequence, before }, 'log was trimmed beyond the state');
        forgetState(shard, this.partition);
        this.phase = 'restoring';
        onChange();
        void this.#unfollow().then(() => this.#attempt());
      },
      onInterrupted: (error) => {
        if (isCurrent()) void this.#tryLater(error);
      },
      onFailed: (error) => {
        if (isCurrent()) onFailed(error);
      },
    };
  }

  async #unfollow(): Promise<void> {
    const { follower } = this;
    this.follower = null;
    // What cannot be taken back from a server that does not answer ends there by itself.
    await follower?.close().catch((error: unknown) => this.#logger.warn({ err: error }, 'log not closed'));
  }

  async #tryLater(error: unknown): Promise<void> {
    await this.#unfollow();
    if (this.#dropped) return;
    const { clock, shard } = this.#options;
    if (this.phase !== 'ready') {
      forgetState(shard, this.partition);
      this.phase = this.phase === 'gone' ? 'gone' : 'restoring';
    }
    this.#failures += 1;
    const pauseMs = Math.min(pauseMsMax, pauseMsMin * 2 ** (this.#failures - 1));
    const isGone = isMillraceError(error, 'MILL_HISTORY_GONE');
    // The first time, others may just be replacing what was looked for; the second look tells.
    if (isGone && this.#failures > 1) this.phase = 'gone';
    if (isGone && this.phase === 'gone')
      this.#logger.error({ err: error, pauseMs }, 'partition cannot be restored');
    else this.#logger.warn({ err: error, pauseMs }, 'partition not restored yet');
    this.#timer.cancel();
    this.#timer = clock.setTimer(pauseMs, () => void this.#attempt());
  }
}
