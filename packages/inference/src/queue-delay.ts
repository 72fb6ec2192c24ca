/**
 * How long a new request may wait: long in a burst, not long while more is asked for than can be served. The two are told apart as
 * CoDel does (Nichols and Jacobson, "Controlling Queue Delay", 2012), by the least wait of some time: a burst drains, a queue
 * that stands does not. A queue may stand below `msMax`, as of callers that each wait for their answer; when one that has stood
 * for `standingMs` grows beyond it, it is held at `msTarget` until nobody has been refused for as long.
 */

const standingMs = 100;

/**
 * When one that was refused may come again, ms: a burst has drained after the least; an overload is taken to last as long again as it
 * has. Few of them, so that answers can be made beforehand.
 */
export const retrySteps = [100, 250, 500, 1_000] as const;
export type RetryAfterMs = (typeof retrySteps)[number];

export interface QueueDelayLimits {
  /** Of a burst. */
  readonly msMax: number;
  /** Of a queue that stands, ≤ msMax. */
  readonly msTarget: number;
}

export interface QueueDelay {
  /** What a new request may wait, ms. */
  readonly limitMs: number;
  /** Notes what one that comes now would wait, each time that a batch leaves. */
  note(waitMs: number, nowMs: number): void;
  /** Notes that a request is refused for its wait, and gives when it may come again. */
  refuse(nowMs: number): RetryAfterMs;
}

export function createQueueDelay({ msMax, msTarget }: QueueDelayLimits): QueueDelay {
  /** Null: the last wait was within the target. */
  let overSinceMs: number | null = null;
  let refusedMs = Number.NEGATIVE_INFINITY;
  /** Null: none does. */
  let standsSinceMs: number | null = null;
  return {
    get limitMs() {
      return standsSinceMs === null ? msMax : msTarget;
    },
    note(waitMs, nowMs) {
      if (waitMs <= msTarget) overSinceMs = null;
      else overSinceMs ??= nowMs;
      if (nowMs - refusedMs >= standingMs) standsSinceMs = null;
    },
    refuse(nowMs) {
      refusedMs = nowMs;
      if (overSinceMs !== null && nowMs - overSinceMs >= standingMs) standsSinceMs ??= overSinceMs;
      const stoodMs = nowMs - (standsSinceMs ?? nowMs);
      return retrySteps.findLast((step) => step <= stoodMs) ?? retrySteps[0];
    },
  };
}
