/**
 * Follows the log of one partition and folds it. One follower is the one writer of its partition.
 *
 * A block whose predecessor is missing is not applied at first: the follower opens the log again behind the state's
 * sequence, in case the transport skipped a message. If it is missing again, either the log was trimmed beyond the state,
 * which then has to start from a newer snapshot, or the log itself lacks the block: then what follows is applied, counted
 * and reported, the same way on every owner.
 *
 * A trim mark is written before anything is trimmed. So a mark that is read after messages came tells of every trim that
 * they could have met: if it lies at or below the first sequence asked for, nothing was missing between them. That is
 * looked at before a partition counts as caught up, and before a hole is accepted.
 */
import { type ApplyOutcome, applyGradients, type PartitionState } from '@millrace/core';
import { gradientsSubject, modelNameFrom, type Sequence } from '@millrace/protocol';
import type { Bus, LogMessage, LogReader } from '@millrace/runtime';
import { isBehindTrim, trimmedBefore } from '@millrace/snapshot';

export interface FollowerEvents {
  /** The partition has reached the head that the log had when following began, and nothing was missing on the way. */
  onCaughtUp(): void;
  onRejected(sequence: number, reason: string): void;
  onHole(sequence: number): void;
  /**
   * The log may have been trimmed beyond what the state had seen: it has to start anew from a snapshot at `before` − 1 or
   * later. Nothing is applied any more.
   */
  onTrimmed(before: Sequence): void;
  /** The server did not answer. Nothing is applied any more; following may begin again where the state stands. */
  onInterrupted(error: Error): void;
  /** The log is gone, or is another one than it was. */
  onFailed(error: Error): void;
}

/** Sees each message before and after it is applied. */
export interface ApplyWatch {
  begin(state: PartitionState): void;
  end(state: PartitionState, outcome: ApplyOutcome): void;
}

export interface PartitionFollower {
  /** Messages that the log held beyond the state at the last delivery; before the first, 1 where there are any. */
  readonly behind: number;
  /** Resolves once nothing is being applied; nothing will be until `release`. What comes meanwhile waits. */
  hold(): Promise<void>;
  release(): void;
  close(): Promise<void>;
}

export async function followPartition(
  bus: Bus,
  state: PartitionState,
  events: FollowerEvents,
  watch: ApplyWatch | null = null,
): Promise<PartitionFollower> {
  const subject = gradientsSubject(modelNameFrom(state.model), state.partition);
  const head = await bus.headOf('gradients', subject);
  const follower = new Follower({ bus, state, events, watch, subject, head });
  await follower.open();
  return follower;
}

interface FollowerInput {
  readonly bus: Bus;
  readonly state: PartitionState;
  readonly events: FollowerEvents;
  readonly watch: ApplyWatch | null;
  readonly subject: string;
  /** Sequence of the newest message when following began. */
  readonly head: Sequence;
}

class Follower implements PartitionFollower {
  behind: number;
  readonly #input: FollowerInput;
  /** The state's sequence when following began. */
  readonly #startedAt: Sequence;
  /**
   * Of the newest block that was applied: up to there nothing is missing. What is refused or repeated builds on nothing, and
   * may stand where the log was trimmed all around it.
   */
  #solidAt: Sequence;
  #progress: 'behind' | 'proving' | 'caught up' = 'behind';
  #ended = false;
  #reader: LogReader | null = null;
  /** Which look at the log counts: what an earlier one still delivers is passed over. */
  #look = 0;
  /** Block whose predecessor was missing in the look before this one, 0: none. */
  #suspect: Sequence = 0;
  #reopening: Promise<void> = Promise.resolve();
  /** Passed once the hold ends; null while nothing holds. */
  #held: { readonly released: Promise<void>; readonly release: () => void } | null = null;
  /** A hole that is being looked into. */
  #settling: Promise<void> = Promise.resolve();

  constructor(input: FollowerInput) {
    this.#input = input;
    this.#startedAt = input.state.sequence;
    this.#solidAt = input.state.sequence;
    this.behind = input.state.sequence < input.head ? 1 : 0;
  }

  async open(): Promise<void> {
    await this.#openReader();
    if (this.#isAtHead()) await this.#prove();
  }

  async hold(): Promise<void> {
    if (this.#held === null) {
      let release = () => {};
      const released = new Promise<void>((resolve) => {
        release = resolve;
      });
      this.#held = { released, release };
    }
    await this.#settling;
  }

  release(): void {
    const held = this.#held;
    this.#held = null;
    held?.release();
  }

  async close(): Promise<void> {
    this.#end();
    this.release();
    await this.#reopening;
    await this.#reader?.close();
  }

  #end(): void {
    this.#ended = true;
    this.#look += 1;
  }

  async #openReader(): Promise<void> {
    const { bus, state, subject, events } = this.#input;
    const mine = this.#look;
    const opened = await bus.read('gradients', {
      subject,
      from: state.sequence + 1,
      onMessage: (message) => this.#receive(mine, message),
      onError: (error) => events.onFailed(error),
    });
    // A first message may have asked for another look before this one was open.
    if (mine === this.#look) this.#reader = opened;
    else await opened.close();
  }

  #receive(look: number, message: LogMessage): void | Promise<void> {
    if (this.#held !== null) return this.#held.released.then(() => this.#receive(look, message));
    if (look !== this.#look) return;
    const { state, events, watch } = this.#input;
    watch?.begin(state);
    const outcome = applyGradients(state, message, 'report');
    watch?.end(state, outcome);
    if (outcome.kind === 'gap') return this.#takeGap(look, message);
    if (outcome.kind === 'applied') this.#solidAt = message.sequence;
    this.behind = message.pending;
    if (outcome.kind === 'rejected') events.onRejected(message.sequence, outcome.error.message);
    if (this.#isAtHead()) void this.#prove();
  }

  #takeGap(look: number, message: LogMessage): void | Promise<void> {
    if (message.sequence !== this.#suspect) {
      this.#suspect = message.sequence;
      this.#lookAgain();
      return;
    }
    this.#settling = this.#settleGap(look, message);
    return this.#settling;
  }

  async #settleGap(look: number, message: LogMessage): Promise<void> {
    const { state, events, watch } = this.#input;
    const before = await this.#trimmedBefore();
    if (before === null || look !== this.#look || message.sequence <= state.sequence) return;
    if (isBehindTrim(this.#solidAt, before)) {
      this.#stopTrimmed(before);
      return;
    }
    watch?.begin(state);
    const outcome = applyGradients(state, message, 'accept');
    watch?.end(state, outcome);
    this.#solidAt = message.sequence;
    this.behind = message.pending;
    events.onHole(message.sequence);
    if (this.#isAtHead()) void this.#prove();
  }

  #lookAgain(): void {
    this.#look += 1;
    const old = this.#reader;
    this.#reader = null;
    this.#reopening = this.#reopening.then(async () => {
      try {
        await old?.close();
        if (!this.#ended) await this.#openReader();
      } catch (error) {
        this.#interrupt(error);
      }
    });
  }

  /** True once, when the head has been reached and that is still to be made sure of. */
  #isAtHead(): boolean {
    return this.#progress === 'behind' && this.#input.state.sequence >= this.#input.head;
  }

  async #prove(): Promise<void> {
    this.#progress = 'proving';
    const before = await this.#trimmedBefore();
    if (before === null) return;
    if (isBehindTrim(this.#startedAt, before)) {
      this.#stopTrimmed(before);
      return;
    }
    this.#progress = 'caught up';
    this.#input.events.onCaughtUp();
  }

  /** Null when following has ended, or ends since nobody answers. */
  async #trimmedBefore(): Promise<Sequence | null> {
    const { bus, subject } = this.#input;
    try {
      const before = await trimmedBefore(bus, subject);
      return this.#ended ? null : before;
    } catch (error) {
      this.#interrupt(error);
      return null;
    }
  }

  #stopTrimmed(before: Sequence): void {
    this.#end();
    this.#input.events.onTrimmed(before);
  }

  #interrupt(error: unknown): void {
    if (this.#ended) return;
    this.#end();
    this.#input.events.onInterrupted(error instanceof Error ? error : new Error(String(error)));
  }
}
