/**
 * Deadlines of the caller's own. `x-request-timeout-ms: 50`, or `grpc-timeout: 50m` as gRPC writes it, counts from the arrival
 * of the headers. When it is over the request is answered MILL_TIMEOUT, and what still waits for a batch is not computed.
 *
 * One hook, whatever the route: the answer is sent from the timer, and everybody who works for the request sees that nobody
 * waits any more (Caller.gone).
 */
import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { MillraceError } from '@millrace/protocol';
import type { Clock } from '@millrace/runtime';
import type { FastifyInstance } from 'fastify';
import { badHeader } from './json-body.ts';

/** A longer wait is cut to this. */
const timeoutMsMax = 600_000;

const unitMs: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/** By answer: whether its caller's time is up. A timer may be late by a whole batch; the clock is not. */
const over = new WeakMap<ServerResponse, () => boolean>();

/** True when the caller of `answer` gave a deadline and it has passed. */
export function isOverdue(answer: ServerResponse): boolean {
  return over.get(answer)?.() ?? false;
}

export function honourDeadlines(app: FastifyInstance, clock: Clock): void {
  app.addHook('onRequest', (request, reply, done) => {
    const timeoutMs = timeoutMsFrom(request.headers);
    if (timeoutMs === null) return done();
    const error = new MillraceError(
      'MILL_TIMEOUT',
      `no answer within the ${timeoutMs} ms that the request gives`,
    );
    if (timeoutMs === 0) return done(error);
    const endMs = clock.monotonicMs() + timeoutMs;
    over.set(reply.raw, () => clock.monotonicMs() >= endMs);
    const timer = clock.setTimer(timeoutMs, () => {
      if (!reply.sent) void reply.send(error);
    });
    reply.raw.once('close', () => timer.cancel());
    done();
  });
}

/**
 * The time that a request gives, ms; null: none.
 * @throws MILL_BAD_REQUEST naming the header.
 */
export function timeoutMsFrom(headers: IncomingHttpHeaders): number | null {
  const { 'x-request-timeout-ms': plain, 'grpc-timeout': grpc } = headers;
  if (plain !== undefined) {
    if (typeof plain === 'string' && /^\d{1,9}$/.test(plain)) return Math.min(timeoutMsMax, Number(plain));
    throw badHeader('x-request-timeout-ms', 'whole milliseconds', String(plain).slice(0, 40));
  }
  if (grpc === undefined) return null;
  const parts = typeof grpc === 'string' ? /^(\d{1,8})([HMSmun])$/.exec(grpc) : null;
  if (parts !== null) return Math.min(timeoutMsMax, Number(parts[1]) * (unitMs[parts[2]] ?? 0));
  throw badHeader('grpc-timeout', 'up to 8 digits and one of H M S m u n', String(grpc).slice(0, 40));
}
