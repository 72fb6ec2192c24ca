/** A batcher on a clock that is moved, whose batches end when told. */
import { createManualClock } from '@millrace/runtime';
import { type BatchingLimits, createBatcher, type Ticket } from '../src/batcher.ts';

/** Of the event loop. */
export const turn = () => new Promise((resolve) => setImmediate(resolve));

export interface Run {
  readonly lane: number;
  readonly requests: readonly string[];
  readonly rows: number;
  /** Answers every request with its name in capitals, and frees the lane. */
  finish(): void;
}

/** @param unreadMs  what the newest request is said to have lain unread. */
export function openBatcher(limits: Partial<BatchingLimits> = {}, unreadMs = () => 0) {
  const clock = createManualClock(0);
  const runs: Run[] = [];
  const whole = { rowsMax: 10, delayUs: 2_000, queueRowsMax: 30, lanes: 2, ...limits };
  const run = (lane: number, tickets: readonly Ticket<string, string>[]) =>
    new Promise<void>((resolve) => {
      runs.push({
        lane,
        requests: tickets.map(({ request }) => request),
        rows: tickets.reduce((sum, { rows }) => sum + rows, 0),
        finish() {
          for (const ticket of tickets) ticket.resolve(ticket.request.toUpperCase());
          resolve();
        },
      });
    });
  const batcher = createBatcher<string, string>(whole, clock, run, { unreadMs });
  return { clock, runs, batcher };
}

export const requestsOf = (runs: readonly Run[]) => runs.map(({ requests }) => requests.join(' '));
