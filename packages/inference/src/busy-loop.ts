/** Whether the process's thread has its hands full: the share of the last while in which its event loop did not wait. */
import { type EventLoopUtilization, performance } from 'node:perf_hooks';
import type { Clock } from '@millrace/runtime';

/** The share is that of a time of this length at least, ms. */
const windowMs = 50;
/** Once busy, a thread is until it has a third less to do: what is made ready for one way of scoring should not be so for both. */
const calmShare = 2 / 3;

/**
 * @param busyFrom  share from which on it counts as busy, until it falls below two thirds of that; above 1: never.
 * @param utilization  default: of this thread.
 */
export function createBusyLoop(
  busyFrom: number,
  clock: Pick<Clock, 'monotonicMs'>,
  utilization: typeof performance.eventLoopUtilization = performance.eventLoopUtilization,
): () => boolean {
  let last: EventLoopUtilization = utilization();
  let lastMs = clock.monotonicMs();
  let isBusy = false;
  return () => {
    const nowMs = clock.monotonicMs();
    if (nowMs - lastMs < windowMs) return isBusy;
    const current = utilization();
    const from = isBusy ? calmShare * busyFrom : busyFrom;
    isBusy = utilization(current, last).utilization >= from;
    last = current;
    lastMs = nowMs;
    return isBusy;
  };
}
