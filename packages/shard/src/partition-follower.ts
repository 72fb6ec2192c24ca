/**
 * Follows the log of one partition and folds it. One follower is the one writer of its partition.
 *
 * A block whose predecessor is missing is not applied at first: the follower opens the log again behind the state's
 * sequence, in case the transport skipped a message. If the log itself lacks it, the block is applied, counted and reported,
 * the same way on every owner.
 */
import { applyGradients, type PartitionState } from '@millrace/core';
import { gradientsSubject, modelNameFrom } from '@millrace/protocol';
import type { Bus, LogMessage, LogReader } from '@millrace/runtime';

export interface FollowerEvents {
  /** The partition has reached the head that the log had when following began. */
  onCaughtUp(): void;
  onRejected(sequence: number, reason: string): void;
  onHole(sequence: number): void;
  /** The log cannot be followed any more. */
  onFailed(error: Error): void;
}

export interface PartitionFollower {
  close(): Promise<void>;
}

export async function followPartition(
  bus: Bus,
  state: PartitionState,
  events: FollowerEvents,
): Promise<PartitionFollower> {
  const subject = gradientsSubject(modelNameFrom(state.model), state.partition);
  const head = await bus.headOf('gradients', subject);
  let caughtUp = false;
  let closed = false;
  let reader: LogReader | null = null;
  /** Which look at the log counts: what an earlier one still delivers is passed over. */
  let look = 0;
  /** Block whose predecessor was missing in the look before this one, 0: none. */
  let suspect = 0;
  let reopening: Promise<void> = Promise.resolve();

  const noteProgress = () => {
    if (caughtUp || state.sequence < head) return;
    caughtUp = true;
    events.onCaughtUp();
  };

  const onMessage = (message: LogMessage) => {
    const outcome = applyGradients(state, message, 'report');
    if (outcome.kind === 'gap') {
      if (message.sequence !== suspect) {
        suspect = message.sequence;
        lookAgain();
        return;
      }
      applyGradients(state, message, 'accept');
      events.onHole(suspect);
    }
    if (outcome.kind === 'rejected') events.onRejected(message.sequence, outcome.error.message);
    noteProgress();
  };

  const open = async () => {
    const mine = look;
    const opened = await bus.read('gradients', {
      subject,
      from: state.sequence + 1,
      onMessage: (message) => {
        if (mine === look) onMessage(message);
      },
      onError: events.onFailed,
    });
    // A first message may have asked for another look before this one was open.
    if (mine === look) reader = opened;
    else await opened.close();
  };

  const lookAgain = () => {
    look += 1;
    const old = reader;
    reader = null;
    reopening = reopening.then(async () => {
      try {
        await old?.close();
        if (!closed) await open();
      } catch (error) {
        events.onFailed(error instanceof Error ? error : new Error(String(error)));
      }
    });
  };

  await open();
  noteProgress();
  return {
    async close() {
      closed = true;
      look += 1;
      await reopening;
      await reader?.close();
    },
  };
}
