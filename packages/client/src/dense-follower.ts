/**
 * Follows the dense log of one model and folds it, from the newest snapshot on; the sequence reached is the dense version.
 */
import { applyDense, type DenseState } from '@millrace/core';
import { denseSubject, MillraceError, modelNameFrom, type Sequence } from '@millrace/protocol';
import type { Bus, Logger, LogMessage } from '@millrace/runtime';
import { type Archive, isBehindTrim, trimmedBefore } from '@millrace/snapshot';

export interface DenseFollower {
  /** Resolves once the head that the log had when following began is reached. */
  readonly caughtUp: Promise<void>;
  close(): Promise<void>;
}

export interface DenseFollowerOptions {
  readonly bus: Bus;
  /** Where snapshots are; null: the log has everything. */
  readonly archive: Archive | null;
  readonly state: DenseState;
  readonly logger: Logger;
  readonly onFailed: (error: Error) => void;
}

/**
 * A net without dense weights has nothing to follow and is caught up at once.
 * @throws MILL_HISTORY_GONE when the log was trimmed and no valid snapshot reaches what is left of it.
 */
export async function followDense(options: DenseFollowerOptions): Promise<DenseFollower> {
  const { bus, state, logger, onFailed } = options;
  if (state.weights.length === 0) return { caughtUp: Promise.resolve(), close: async () => {} };
  const subject = denseSubject(modelNameFrom(state.model));
  const head = await bus.headOf('dense', subject);
  await restore(options, subject, head);
  let reached = () => {};
  const caughtUp = new Promise<void>((resolve) => {
    reached = resolve;
  });
  /** Of the newest block that was applied: nothing is missing up to there. What is refused or repeated proves nothing. */
  let solidAt = state.sequence;
  const apply = (message: LogMessage, onGap: 'report' | 'accept'): boolean => {
    const outcome = applyDense(state, message, onGap);
    if (outcome.kind === 'gap') return false;
    if (outcome.kind === 'applied') solidAt = message.sequence;
    if (outcome.kind === 'rejected') {
      const { code, message: reason } = outcome.error;
      logger.error({ model: state.model, sequence: message.sequence, code, reason }, 'dense block rejected');
    }
    if (state.sequence >= head) reached();
    return true;
  };
  /**
   * There is one reader a process and the log is ordered, so a hole here is a hole in the log itself; or the log was trimmed
   * beyond a reader that was long away. The mark is written before anything is trimmed, so it tells.
   */
  const mend = async (message: LogMessage) => {
    const late = { ...message, payload: message.payload.slice() };
    if (isBehindTrim(solidAt, await trimmedBefore(bus, subject))) {
      await restore(options, subject, Number.MAX_SAFE_INTEGER);
      solidAt = state.sequence;
    }
    apply(late, 'accept');
  };
  const onMessage = (message: LogMessage): void | Promise<void> => {
    if (!apply(message, 'report')) return mend(message);
  };
  const reader = await bus.read('dense', { subject, from: state.sequence + 1, onMessage, onError: onFailed });
  if (state.sequence >= head) reached();
  return { caughtUp, close: () => reader.close() };
}

/**
 * Tries as often as the log is trimmed meanwhile: the newest snapshot is never older than what a trim leaves. One beyond the
 * head is of a log that has lost its end, and what was learned there is to be learned again.
 */
async function restore(
  { bus, archive, state, logger }: DenseFollowerOptions,
  subject: string,
  head: Sequence,
): Promise<void> {
  for (let before = -1; ; ) {
    const { model } = state;
    if (archive !== null && (await archive.restoreDense(state, { atMost: head })))
      logger.info({ model, sequence: state.sequence }, 'dense weights restored');
    const now = await trimmedBefore(bus, subject);
    if (!isBehindTrim(state.sequence, now)) return;
    if (now === before) {
      throw new MillraceError(
        'MILL_HISTORY_GONE',
        `cannot fold the dense weights of ${model}: the log begins at sequence ${now}, and no valid snapshot reaches it`,
      );
    }
    before = now;
  }
}
