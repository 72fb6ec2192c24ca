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

export function createBatcher<Request, Result>(
  limits: BatchingLimits,
  clock: Clock,
  run: BatchRunner<Request, Result>,
): Batcher<Request, Result> {
  let queue: Ticket<Request, Result>[] = [];
  let queueRows = 0;
  let scheduled = false;
  let closed = false;
  let drained: (() => void) | null = null;
  const freeLanes = Array.from({ length: limits.lanes }, (_, lane) => lane);

  const takeBatch = () => {
    let rows = 0;
    let count = 0;
    while (count < queue.length && (count === 0 || rows + queue[count].rows <= limits.rowsMax)) {
      rows += queue[count].rows;
      count += 1;
    }
    const tickets = queue.slice(0, count);
    queue = queue.slice(count);
    queueRows -= rows;
    return tickets;
  };

  const finishLane = (lane: number) => {
    freeLanes.push(lane);
    if (queue.length > 0) dispatch();
    else if (closed && freeLanes.length === limits.lanes) drained?.();
  };

  const dispatch = () => {
    scheduled = false;
    while (queue.length > 0) {
      const lane = freeLanes.pop();
      if (lane === undefined) return;
      void run(lane, takeBatch()).finally(() => finishLane(lane));
    }
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
