/** Follows the dense log of one model and folds it; the sequence reached is the dense version. */
import { applyDense, type DenseState } from '@millrace/core';
import { denseSubject, modelNameFrom } from '@millrace/protocol';
import type { Bus, Logger, LogMessage } from '@millrace/runtime';

export interface DenseFollower {
  /** Resolves once the head that the log had when following began is reached. */
  readonly caughtUp: Promise<void>;
  close(): Promise<void>;
}

export interface DenseFollowerOptions {
  readonly bus: Bus;
  readonly state: DenseState;
  readonly logger: Logger;
  readonly onFailed: (error: Error) => void;
}

/** A net without dense weights has nothing to follow and is caught up at once. */
export async function followDense({
  bus,
  state,
  logger,
  onFailed,
}: DenseFollowerOptions): Promise<DenseFollower> {
  if (state.weights.length === 0) return { caughtUp: Promise.resolve(), close: async () => {} };
  const subject = denseSubject(modelNameFrom(state.model));
  const head = await bus.headOf('dense', subject);
  let reached = () => {};
  const caughtUp = new Promise<void>((resolve) => {
    reached = resolve;
  });
  const onMessage = (message: LogMessage) => {
    // There is one reader a process and the log is ordered, so a hole here is a hole in the log itself.
    const outcome = applyDense(state, message, 'accept');
    if (outcome.kind === 'rejected') {
      logger.error(
        {
          model: state.model,
          sequence: message.sequence,
          code: outcome.error.code,
          reason: outcome.error.message,
        },
        'dense block rejected',
      );
    }
    if (state.sequence >= head) reached();
  };
  const reader = await bus.read('dense', { subject, from: state.sequence + 1, onMessage, onError: onFailed });
  if (state.sequence >= head) reached();
  return { caughtUp, close: () => reader.close() };
}
