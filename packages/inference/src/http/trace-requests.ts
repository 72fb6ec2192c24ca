/**
 * Spans of requests. A caller's `traceparent` and `tracestate` (W3C Trace Context) are taken up, and the answer says which span
 * it was in `traceresponse`. Comes behind the keys: who has none begins no trace. Reads are probes and scrapes, and have none.
 */
import type { ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Span, Tracing } from '../tracing/span.ts';

const spans = new WeakMap<ServerResponse, Span>();

/** The span that `answer` ends; undefined: none. */
export function spanOf(answer: ServerResponse): Span | undefined {
  return spans.get(answer);
}

export function traceRequests(app: FastifyInstance, tracing: Tracing): void {
  app.addHook('onRequest', (request, reply, done) => {
    const route = request.routeOptions.url;
    if (request.method !== 'POST' || route === undefined) return done();
    const span = tracing.begin(
      `POST ${route}`,
      { 'http.request.method': 'POST', 'http.route': route, 'url.scheme': request.protocol },
      { traceparent: headerOf(request, 'traceparent'), tracestate: headerOf(request, 'tracestate') },
    );
    if (span !== null) {
      spans.set(reply.raw, span);
      reply.header('traceresponse', span.traceparent);
    }
    done();
  });
  app.addHook('onResponse', (_request, reply, done) => {
    const span = spanOf(reply.raw);
    const { statusCode } = reply;
    span?.note({ 'http.response.status_code': statusCode });
    span?.end();
    done();
  });
}

function headerOf({ headers }: FastifyRequest, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value.join(',') : value;
}
