/**
 * Dynamic batching: requests of all callers that are there at the same time go through features, rows and net together.
 *
 * Batches leave when `rowsMax` rows wait or the first request has waited `delayUs`, whichever is first, and a lane is free;
 * what has waited for a lane leaves as soon as there is one. Lanes overlap: while one batch waits for rows the next one is
 * encoded. With no free lane the queue grows up to `queueRowsMax`, then new requests are refused at once (I7).
 */
import { MillraceError } from '@millrace/protocol';
import type { Clock } from '@millrace/runtime';

export interface BatchingLimits {
  /** A batch leaves once it has this many rows; one larger request still travels whole. */
  readonly rowsMax: number;
  /** How long a request may wait for others, µs. 0: until the current turn of the event loop ends. */
  readonly delayUs: number;
  readonly queueRowsMax: number;
  /** Batches on their way at the same time. */
  readonly lanes: number;
}

export interface Batcher<Request, Result> {
  /** @throws MILL_OVERLOADED when the queue is full, MILL_CLOSED after close. */
  submit(request: Request, rows: number): Promise<Result>;
  readonly queueRows: number;
  /** Takes no more, and resolves when all that were taken are answered. */
  close(): Promise<void>;
}

/** One waiting request; the runner settles it. */
export interface Ticket<Request, Result> {
  readonly request: Request;
  readonly rows: number;
  resolve(result: Result): void;
  reject(error: unknown): void;
}

/** Runs one batch on lane `lane` (0 … lanes − 1) and settles every ticket; must not reject. */
export type BatchRunner<Request, Result> = (
  lane: number,
  tickets: readonly Ticket<Request, Result>[],
) => Promise<void>;

/** Why a request that has waited is not worth running any more; null: it is. Asked when its batch leaves. */
export type LateRefusal<Request> = (request: Request) => MillraceError | null;

/** @param refusalOf default: what was taken is run. */
export function createBatcher<Request, Result>(
  limits: BatchingLimits,
  clock: Clock,
  run: BatchRunner<Request, Result>,
  refusalOf: LateRefusal<Request> = () => null,
): Batcher<Request, Result> {
  let queue: Ticket<Request, Result>[] = [];
  let queueRows = 0;
  let scheduled = false;
  let closed = false;
  let drained: (() => void) | null = null;
  const freeLanes = Array.from({ length: limits.lanes }, (_, lane) => lane);

  const takeBatch = () => {
    const tickets: Ticket<Request, Result>[] = [];
    let rows = 0;
    let taken = 0;
    for (; taken < queue.length; taken += 1) {
      const ticket = queue[taken];
      const refusal = refusalOf(ticket.request);
      if (refusal !== null) {
        ticket.reject(refusal);
      } else {
        if (tickets.length > 0 && rows + ticket.rows > limits.rowsMax) break;
        rows += ticket.rows;
        tickets.push(ticket);
      }
      queueRows -= ticket.rows;
    }
    queue = queue.slice(taken);
    return tickets;
  };

  const finishLane = (lane: number) => {
    freeLanes.push(lane);
    dispatch();
  };

  const dispatch = () => {
    scheduled = false;
    while (queue.length > 0) {
      const lane = freeLanes.pop();
      if (lane === undefined) return;
      const tickets = takeBatch();
      if (tickets.length > 0) void run(lane, tickets).finally(() => finishLane(lane));
      else freeLanes.push(lane);
    }
    if (closed && freeLanes.length === limits.lanes) drained?.();
  };

  const schedule = () => {
    if (queueRows >= limits.rowsMax) dispatch();
    else if (!scheduled) {
      scheduled = true;
      if (limits.delayUs === 0) setImmediate(dispatch);
      else clock.setTimer(limits.delayUs / 1_000, dispatch);
    }
  };

  return {
    submit(request, rows) {
      if (closed) return Promise.reject(new MillraceError('MILL_CLOSED', 'this node is shutting down'));
      if (queueRows > 0 && queueRows + rows > limits.queueRowsMax) {
        const message = `cannot score now: ${queueRows} rows wait, the limit is ${limits.queueRowsMax}`;
        return Promise.reject(new MillraceError('MILL_OVERLOADED', message));
      }
      return new Promise((resolve, reject) => {
        queue.push({ request, rows, resolve, reject });
        queueRows += rows;
        schedule();
      });
    },
    get queueRows() {
      return queueRows;
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
