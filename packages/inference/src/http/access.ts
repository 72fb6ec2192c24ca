/**
 * Asks for keys. One hook before every route, whatever protocol it is of, and before its body is read; so a route that is
 * added is closed before anybody thinks of it.
 */
import type { MillraceError } from '@millrace/protocol';
import { type Access, type Need, shownKeyFrom } from '@millrace/runtime';
import type { FastifyInstance, FastifyRequest } from 'fastify';

export interface Guard {
  /** Why a request is not let in; null: it is. */
  refusalOf(request: FastifyRequest): MillraceError | null;
  /** Name of the key that a request has shown, known or not allowed; null: none that is known. */
  keyNameOf(request: FastifyRequest): string | null;
}

export function createGuard(access: Access): Guard {
  const names = new WeakMap<FastifyRequest, string>();
  return {
    refusalOf(request) {
      const needs = needOf(request.method, request.routeOptions.url);
      const verdict = access.authorize({ key: shownKeyFrom(request.headers), needs });
      if (verdict.name !== null) names.set(request, verdict.name);
      return verdict.kind === 'granted' ? null : verdict.error;
    },
    keyNameOf: (request) => names.get(request) ?? null,
  };
}

/** Refuses those who may not ask. */
export function askForKeys(app: FastifyInstance, guard: Guard): void {
  app.addHook('onRequest', (request, _reply, done) => {
    done(guard.refusalOf(request) ?? undefined);
  });
}

/** Health says nothing that a prober should need a key for. */
const open = /^\/health\/(live|ready)$|^\/v2\/health\/(live|ready)$/;
/** What the API is like; whoever has any key may see it. */
const described = /^\/$|^\/openapi\.json$/;
/** Loading and unloading by the Open Inference Protocol is a POST; listing is one too. */
const repository = /^\/v2\/repository\/(?!index$)/;

/** Changes of versions and experiments, whatever their method; predictions have patterns of their own. */
const versions = /^\/v1\/models\/:name\/(versions|labels|policy|experiments)(\/|$)/;

/**
 * What a route asks for.
 * @param route pattern of the route; undefined: there is none, which only those learn who have a key.
 */
export function needOf(method: string, route: string | undefined): Need {
  if (route === undefined) return 'any';
  const reads = method === 'GET' || method === 'HEAD';
  if (reads && open.test(route)) return 'open';
  if (reads && described.test(route)) return 'any';
  if (route === '/metrics' || (!reads && method !== 'POST') || repository.test(route)) return 'admin';
  if (!reads && versions.test(route)) return 'admin';
  return /^\/v1\/events(\/|$)/.test(route) ? 'events' : 'score';
}
