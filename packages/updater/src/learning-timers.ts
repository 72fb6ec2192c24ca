/**
 * When an updater does what: a batch when it is full or its first example has waited batchDelayMs, log heads at least every
 * headsIdleMs, and a tick a second while impressions wait and nothing else tells the time.
 */
import { headsIdleMs } from '@millrace/protocol';
import type { Clock } from '@millrace/runtime';

export interface LearningTimers {
  /** There are examples: a batch is to be made, soon or at once. */
  requestBatch(): void;
  /** Nothing fires any more. */
  close(): void;
}

export interface LearningTimersOptions {
  readonly clock: Clock;
  readonly batchDelayMs: number;
  /** A batch need not wait. */
  readonly isFull: () => boolean;
  /** A running turn goes on until nothing is left, so it needs no second one. */
  readonly isBusy: () => boolean;
  readonly learn: () => Promise<void>;
  /** Called every headsIdleMs. */
  readonly onIdle: () => void;
  readonly onFailed: (error: Error) => void;
}

export function startLearningTimers(options: LearningTimersOptions): LearningTimers {
  const { clock, onFailed } = options;
  let closed = false;
  let batchTimer: { cancel(): void } | null = null;
  const onIdle = () => {
    options.onIdle();
    idleTimer = clock.setTimer(headsIdleMs, onIdle);
  };
  let idleTimer = clock.setTimer(headsIdleMs, onIdle);
  return {
    requestBatch() {
      if (closed || options.isBusy()) return;
      const isFull = options.isFull();
      if (batchTimer && !isFull) return;
      batchTimer?.cancel();
      batchTimer = clock.setTimer(isFull ? 0 : options.batchDelayMs, () => {
        batchTimer = null;
        options.learn().catch((error: Error) => {
          // Once it closes, a batch that is given up is no failure: the next start makes it again.
          if (!closed) onFailed(error);
        });
      });
    },
    close() {
      closed = true;
      idleTimer.cancel();
      batchTimer?.cancel();
    },
  };
}
