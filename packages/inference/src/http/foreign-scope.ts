/** Routes of a protocol that others have written down: refusals in its form, and bodies of any content type. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { inflated } from './inflated-body.ts';
import { jsonReader, type ReadJson } from './json-body.ts';
import { plainErrorFrom, type Refuser } from './refusals.ts';
import type { RouteOptions } from './routes.ts';

export interface ForeignOptions extends RouteOptions {
  readonly refuser: Refuser;
}

/** Hides routes from /openapi.json, which describes the native ones. */
export const hidden = { schema: { hide: true } } as const;

/** Whether a path that no route could be found for is one of a foreign protocol, as far as can be told. */
export function isForeignPath(url: string): boolean {
  return /^\/v2(\/|\?|$)|^\/v1\/models\/[^?]*(:(predict|classify|regress)|\/metadata|\/(versions|labels)\/[^?/]*)(\?|$)/.test(
    url,
  );
}

/**
 * Makes `{"error": text}` the form of every refusal in `scope`, and takes bodies whatever their content type says: curl and
 * the protocols' own clients name none, or that of a form. An empty body is `undefined`; one may be compressed.
 * @param read  reads a body; default: JSON.
 */
export function speakForeign(
  scope: FastifyInstance,
  refuser: Refuser,
  read?: (json: ReadJson) => ReadJson,
): void {
  const json = jsonReader(scope);
  const reader = inflated(read?.(json) ?? json);
  scope.setErrorHandler((error, request, reply) => refuser.refuse(error, request, reply, plainErrorFrom));
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser(
    '*',
    { parseAs: 'buffer' },
    (request: FastifyRequest, body: Buffer, done: (error: Error | null, body?: unknown) => void) =>
      body.byteLength === 0 ? done(null, undefined) : reader(request, body, done),
  );
}
