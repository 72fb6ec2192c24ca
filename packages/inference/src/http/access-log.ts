/**
 * One line a request: who asked for what, what it got and how long that took. No path as it was written, no query and no
 * feature: names of routes are ours, everything else could be anybody's data.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Guard } from './access.ts';
import type { Logger } from './refusals.ts';

export function logRequests(app: FastifyInstance, logger: Logger, guard: Guard): void {
  const ids = new WeakMap<FastifyRequest, string>();
  app.addHook('preSerialization', (request, _reply, payload, done) => {
    const id = requestIdIn(payload);
    if (id !== null) ids.set(request, id);
    done(null, payload);
  });
  app.addHook('onResponse', (request, reply, done) => {
    const fields = {
      method: request.method,
      route: request.routeOptions.url ?? null,
      status: reply.statusCode,
      durationMs: Math.round(reply.elapsedTime * 1_000) / 1_000,
      key: guard.keyNameOf(request),
      bytesIn: bytesFrom(request.headers['content-length']),
      bytesOut: bytesFrom(reply.getHeader('content-length')),
      requestId: ids.get(request) ?? null,
    };
    logger.info(fields, 'request answered');
    done();
  });
}

/** The id that an answer has, by which its impression is found. */
function requestIdIn(payload: unknown): string | null {
  if (typeof payload !== 'object' || payload === null || !('requestId' in payload)) return null;
  return typeof payload.requestId === 'string' ? payload.requestId : null;
}

/** Null where no length is told, as with a body in chunks. */
function bytesFrom(header: unknown): number | null {
  const bytes = Number(header ?? Number.NaN);
  return Number.isSafeInteger(bytes) ? bytes : null;
}
