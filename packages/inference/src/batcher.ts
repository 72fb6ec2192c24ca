/**
 * Dynamic batching: requests of all callers that are there at the same time go through features, rows and net together.
 *
 * Batches leave when `rowsMax` rows wait or the first request has waited `delayUs`, whichever is first, and a lane is free;
 * what has waited for a lane leaves as soon as there is one, the most urgent first. Lanes overlap: while one batch waits for
 * rows the next one is encoded.
 *
 * Overload (I7): with no free lane the queue grows up to `queueRowsMax`. Before that comes a limit in time, long for a burst and
 * short for a queue that stands (queue-delay.ts):
 * - When a batch has left and what is still there has waited for longer, requests are refused until a batch has left that
 *   leaves nothing so old. This is looked at as batches leave alone: a process that did not run for a while finds old
 *   requests, takes them along with the next batch and refuses nobody.
 * - What waits or is under way is not let grow beyond what ends within that time, by how long batches took lately
 *   (drain-rate.ts). While that is less than a batch it does not count, and nobody begins to be refused.
 * - How long a request has lain unread (unread-wait.ts) tells of a queue that stands as other waits do, and counts where one does: after
 *   a pause all have lain, and the next batches take them along.
 * So what is accepted waits about as long as that, whatever is asked.
 */
import { MillraceError } from '@millrace/protocol';
import type { Clock } from '@millrace/runtime';
import { createDrainRate } from './drain-rate.ts';
import { type Priority, priorities } from './priority.ts';
import { createQueueDelay, type RetryAfterMs } from './queue-delay.ts';
import { createWaitingQueue } from './waiting-queue.ts';

export interface BatchingLimits {
  /** A batch leaves once it has this many rows; one larger request still travels whole. */
  readonly rowsMax: number;
  /** How long a request may wait for others, µs. 0: until the current turn of the event loop ends. */
  readonly delayUs: number;
  readonly queueRowsMax: number;
  /** Once requests have waited for so long new ones are refused, ms; urgent ones later, others earlier. Default: never. */
  readonly queueDelayMsMax?: number;
  /** The same while more is asked for than can be served. Default: as queueDelayMsMax. */
  readonly queueDelayMsTarget?: number;
  /** Batches on their way at the same time. */
  readonly lanes: number;
}

export interface Batcher<Request, Result> {
  /** @throws MILL_OVERLOADED when the queue is full, MILL_CLOSED after close. */
  submit(request: Request, rows: number, priority?: Priority): Promise<Result>;
  /** Asked for a request that has just come: when it may come again, as others wait for too long; null: it may be submitted. */
  overdue(priority: Priority): RetryAfterMs | null;
  readonly queueRows: number;
  /** Takes no more, and resolves when all that were taken are answered. */
  close(): Promise<void>;
}

/** One waiting request; the runner settles it. */
export interface Ticket<Request, Result> {
  readonly request: Request;
  readonly rows: number;
  /** When it came, monotonic ms. */
  readonly sinceMs: number;
  resolve(result: Result): void;
  reject(error: unknown): void;
}

/** Runs one batch on lane `lane` (0 … lanes − 1) and settles every ticket; must not reject. */
export type BatchRunner<Request, Result> = (
  lane: number,
  tickets: readonly Ticket<Request, Result>[],
) => Promise<void>;

/** How much of the limit others may have waited when one is still taken. */
const patience: Readonly<Record<Priority, number>> = { high: 2, normal: 1, low: 0.5 };

/** A turn of the event loop in which many are refused takes long; who was accepted early in it does not wait for its end. */
const turnMsMax = 1;
const lateMs = (delayUs: number) => Math.max(turnMsMax, delayUs / 1_000);

interface Queued<Request, Result> extends Ticket<Request, Result> {
  readonly priority: Priority;
}

/** Why a request that has waited is not worth running any more; null: it is. Asked when its batch leaves. */
export type LateRefusal<Request> = (request: Request) => MillraceError | null;

export interface BatcherOptions<Request> {
  /** Default: what was taken is run. */
  readonly refusalOf?: LateRefusal<Request>;
  /** How long a request that has just come has lain unread, ms. Default: not at all. */
  readonly unreadMs?: () => number;
}

export function createBatcher<Request, Result>(
  limits: BatchingLimits,
  clock: Clock,
  run: BatchRunner<Request, Result>,
  { refusalOf = () => null, unreadMs = () => 0 }: BatcherOptions<Request> = {},
): Batcher<Request, Result> {
  const queue = createWaitingQueue<Queued<Request, Result>>();
  const msMax = limits.queueDelayMsMax ?? Number.POSITIVE_INFINITY;
  const delay = createQueueDelay({ msMax, msTarget: Math.min(msMax, limits.queueDelayMsTarget ?? msMax) });
  /** By priority how long those had waited whom the last batch left behind, ms. */
  const waitedMs: Record<Priority, number> = { high: 0, normal: 0, low: 0 };
  const drain = createDrainRate();
  /** How long the newest request had lain unread, ms. */
  let lainMs = 0;
  /** Of batches that have left and not ended. */
  let underwayRows = 0;
  let scheduled = false;
  let scheduledMs = 0;
  let closed = false;
  let drained: (() => void) | null = null;
  const freeLanes = Array.from({ length: limits.lanes }, (_, lane) => lane);

  const takeBatch = () => {
    const tickets: Ticket<Request, Result>[] = [];
    let rows = 0;
    queue.take((ticket) => {
      const refusal = refusalOf(ticket.request);
      if (refusal !== null) {
        ticket.reject(refusal);
        return true;
      }
      if (tickets.length > 0 && rows + ticket.rows > limits.rowsMax) return false;
      rows += ticket.rows;
      tickets.push(ticket);
      return true;
    });
    return tickets;
  };

  const noteWaits = () => {
    const nowMs = clock.monotonicMs();
    for (const priority of priorities) waitedMs[priority] = nowMs - (queue.oldestMs(priority) ?? nowMs);
  };

  /** How long a request of this priority that has been read would wait by all that is known, ms. */
  const queuedMs = (priority: Priority): number => {
    const ahead = drain.msFor(queue.rows + underwayRows, clock.monotonicMs());
    return Math.max(waitedMs[priority], priority === 'high' ? 0 : ahead);
  };
  const limitMs = (priority: Priority) => patience[priority] * delay.limitMs;
  const overdue = (priority: Priority) => {
    lainMs = unreadMs();
    const isIdle = queue.rows + underwayRows < limits.rowsMax;
    if (isIdle && !delay.isHeldShort) return null;
    const nowMs = clock.monotonicMs();
    const waitMs = (delay.stands(nowMs) ? lainMs : 0) + (isIdle ? 0 : queuedMs(priority));
    return waitMs > limitMs(priority) ? delay.refuse(nowMs) : null;
  };

  const start = (lane: number, tickets: readonly Ticket<Request, Result>[]) => {
    const startedMs = clock.monotonicMs();
    const rows = tickets.reduce((sum, ticket) => sum + ticket.rows, 0);
    underwayRows += rows;
    void run(lane, tickets).finally(() => {
      underwayRows -= rows;
      drain.note(rows, startedMs, clock.monotonicMs(), queue.length > 0 || underwayRows > 0);
      freeLanes.push(lane);
      dispatch();
    });
  };

  const dispatch = () => {
    scheduled = false;
    while (queue.length > 0) {
      const lane = freeLanes.pop();
      if (lane === undefined) return;
      const tickets = takeBatch();
      noteWaits();
      if (tickets.length > 0) start(lane, tickets);
      else freeLanes.push(lane);
      delay.note(lainMs + queuedMs('normal'), clock.monotonicMs());
    }
    if (closed && freeLanes.length === limits.lanes) drained?.();
  };

  const schedule = () => {
    if (queue.rows >= limits.rowsMax) dispatch();
    else if (scheduled && clock.monotonicMs() - scheduledMs > lateMs(limits.delayUs)) dispatch();
    else if (!scheduled) {
      scheduled = true;
      scheduledMs = clock.monotonicMs();
      if (limits.delayUs === 0) setImmediate(dispatch);
      else clock.setTimer(limits.delayUs / 1_000, dispatch);
    }
  };

  return {
    submit(request, rows, priority = 'normal') {
      if (closed) return Promise.reject(new MillraceError('MILL_CLOSED', 'this node is shutting down'));
      const { rows: queueRows } = queue;
      if (queueRows > 0 && queueRows + rows > limits.queueRowsMax) {
        const message = `cannot score now: ${queueRows} rows wait, the limit is ${limits.queueRowsMax}`;
        return Promise.reject(new MillraceError('MILL_OVERLOADED', message));
      }
      const retryAfterMs = overdue(priority);
      if (retryAfterMs !== null) {
        const waitMs = Math.round(lainMs + queuedMs(priority));
        const message = `cannot score now: a request would wait for ${waitMs} ms, the limit is ${limitMs(priority)}`;
        return Promise.reject(new MillraceError('MILL_OVERLOADED', message, { details: { retryAfterMs } }));
      }
      return new Promise((resolve, reject) => {
        queue.add({ request, rows, resolve, reject, priority, sinceMs: clock.monotonicMs() });
        schedule();
      });
    },
    overdue,
    get queueRows() {
      return queue.rows;
    },
    async close() {
      closed = true;
      if (queue.length === 0 && freeLanes.length === limits.lanes) return;
      await new Promise<void>((resolve) => {
        drained = resolve;
        dispatch();
      });
    },
  };
}
