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
  /** Whether that is the target: requests are refused from a queue that stands. */
  readonly isHeldShort: boolean;
  /** Notes what one that comes now would wait, each time that a batch leaves. */
  note(waitMs: number, nowMs: number): void;
  /** Whether there is a queue that stands, held short or not yet. */
  stands(nowMs: number): boolean;
  /** Notes that a request is refused for its wait, and gives when it may come again. */
  refuse(nowMs: number): RetryAfterMs;
}

export function createQueueDelay({ msMax, msTarget }: QueueDelayLimits): QueueDelay {
  /** Null: the last wait was within the target. */
  let overSinceMs: number | null = null;
  let refusedMs = Number.NEGATIVE_INFINITY;
  /** Null: none does. */
  let standsSinceMs: number | null = null;
  const isOverLong = (nowMs: number) => overSinceMs !== null && nowMs - overSinceMs >= standingMs;
  return {
    get limitMs() {
      return standsSinceMs === null ? msMax : msTarget;
    },
    get isHeldShort() {
      return standsSinceMs !== null;
    },
    note(waitMs, nowMs) {
      if (waitMs <= msTarget) overSinceMs = null;
      else overSinceMs ??= nowMs;
      if (nowMs - refusedMs >= standingMs) standsSinceMs = null;
    },
    stands: (nowMs) => standsSinceMs !== null || isOverLong(nowMs),
    refuse(nowMs) {
      refusedMs = nowMs;
      if (isOverLong(nowMs)) standsSinceMs ??= overSinceMs;
      const stoodMs = nowMs - (standsSinceMs ?? nowMs);
      return retrySteps.findLast((step) => step <= stoodMs) ?? retrySteps[0];
    },
  };
}
