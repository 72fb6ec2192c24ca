/**
 * How long a new request may wait: long in a burst, not long while more is asked for than can be served. The two are told apart as
 * CoDel does (Nichols and Jacobson, "Controlling Queue Delay", 2012), by the least wait of some time: a burst drains, a queue
 * that stands does not. A queue may stand below `msMax`, as of callers that each wait for their answer; when one that has stood
 * for `standingMs` grows beyond it, it is held at `msTarget` until nobody has been refused for as long.
 */

const standingMs = 100;

export type QueueKind = 'burst' | 'standing';

/** When one that was refused may come again, ms: a burst has drained by then; what is asked too much may have become less. */
export const retryAfterMs: Readonly<Record<QueueKind, number>> = { burst: 100, standing: 1_000 };

export interface QueueDelayLimits {
  /** Of a burst. */
  readonly msMax: number;
  /** Of a queue that stands, ≤ msMax. */
  readonly msTarget: number;
}

export interface QueueDelay {
  readonly kind: QueueKind;
  /** What a new request may wait, ms. */
  readonly limitMs: number;
  /** Notes what one that comes now would wait, each time that a batch leaves. */
  note(waitMs: number, nowMs: number): void;
  /** Notes that a request was refused for its wait. */
  noteRefusal(nowMs: number): void;
}

export function createQueueDelay({ msMax, msTarget }: QueueDelayLimits): QueueDelay {
  /** Null: the last wait was within the target. */
  let overSinceMs: number | null = null;
  let refusedMs = Number.NEGATIVE_INFINITY;
  let stands = false;
  return {
    get kind() {
      return stands ? 'standing' : 'burst';
    },
    get limitMs() {
      return stands ? msTarget : msMax;
    },
    note(waitMs, nowMs) {
      if (waitMs <= msTarget) overSinceMs = null;
      else overSinceMs ??= nowMs;
      if (nowMs - refusedMs >= standingMs) stands = false;
    },
    noteRefusal(nowMs) {
      refusedMs = nowMs;
      if (overSinceMs !== null && nowMs - overSinceMs >= standingMs) stands = true;
    },
  };
}
