/**
 * How long a request has lain unread when its turn comes. The event loop asks the system once a turn which sockets have something to
 * read and then goes through all of them: under overload a turn is long, and nobody else sees what waits in it. A request that is
 * found came before its turn began, and after the one before did unless the loop rested in between; of that time half is taken, of
 * requests that come at any time the mean.
 */
import { performance } from 'node:perf_hooks';
import type { Clock } from '@millrace/runtime';

/** To ask the system takes a few µs when something is there; the loop that waited for longer had nothing to read until then, ms. */
const restMsMin = 0.1;

export interface EventLoop {
  /** How long it has rested since it began, ms. */
  restedMs(): number;
  /** Calls back once it has gone through all that there is to read now. */
  afterReads(then: () => void): void;
}

/** That of this thread. */
export const ownEventLoop: EventLoop = {
  restedMs: () => performance.nodeTiming.idleTime,
  afterReads: (then) => void setImmediate(then),
};

/** @returns what is asked of each request as it is found: how long it has lain unread, ms. */
export function createUnreadWait(
  clock: Pick<Clock, 'monotonicMs'>,
  loop: EventLoop = ownEventLoop,
): () => number {
  let reading = false;
  /** When the turn began in which a request was found last, and how long the loop had rested by then, ms. */
  let beganMs = clock.monotonicMs();
  let restedMs = loop.restedMs();
  /** What the first of the turn have lain before it began, ms. */
  let beforeMs = 0;
  return () => {
    const nowMs = clock.monotonicMs();
    if (reading) return beforeMs + nowMs - beganMs;
    reading = true;
    loop.afterReads(() => {
      reading = false;
    });
    const rested = loop.restedMs();
    beforeMs = rested - restedMs > restMsMin ? 0 : (nowMs - beganMs) / 2;
    beganMs = nowMs;
    restedMs = rested;
    return beforeMs;
  };
}
