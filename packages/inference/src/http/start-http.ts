/** The HTTP face of the scoring server: bytes and status codes here, everything else behind ScoringService. */
import { bodyBytesMax, MillraceError } from '@millrace/protocol';
import { type Access, type Clock, openAccess, systemClock } from '@millrace/runtime';
import { type FastifyInstance, type FastifyServerOptions, fastify } from 'fastify';
import type { Registry } from 'prom-client';
import type { ScoringService } from '../scoring-service.ts';
import type { Tracing } from '../tracing/span.ts';
import { askForKeys, createGuard, type Guard } from './access.ts';
import { logRequests } from './access-log.ts';
import { badRequestFrom } from './bad-request.ts';
import { brokenRequestHandler } from './broken-requests.ts';
import { trackConnections } from './connections.ts';
import { allowOrigins } from './cors.ts';
import { honourDeadlines } from './deadlines.ts';
import { addExperimentRoutes } from './experiment-routes.ts';
import { isForeignPath } from './foreign-scope.ts';
import { type HttpMetrics, httpMetricsIn } from './http-metrics.ts';
import { acceptJsonOnly } from './json-body.ts';
import { addOipRoutes } from './oip/oip-routes.ts';
import { addDescriptionRoutes, describeApi } from './openapi.ts';
import { acceptOutcomeLines } from './outcome-lines.ts';
import { errorResponseFrom, type Logger, plainErrorFrom, type Refuser, refuserWith } from './refusals.ts';
import { routeUnknown } from './route-unknown.ts';
import { addModelRoutes, addOperationRoutes, addScoringRoutes } from './routes.ts';
import { createShed, shedBefore } from './shed-load.ts';
import { addTfsRoutes } from './tfs/tfs-routes.ts';
import { traceRequests } from './trace-requests.ts';
import { unreadBodies } from './unread-body.ts';
import { addVersionRoutes } from './version-routes.ts';

export interface HttpOptions {
  readonly service: ScoringService;
  readonly logger: Logger;
  /** Gets the HTTP metrics, and is what `GET /metrics` tells. */
  readonly registry: Registry;
  /** Default 127.0.0.1: nothing is open to the network unless somebody says so. */
  readonly host?: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Connections served at once; more get MILL_OVERLOADED. */
  readonly connectionsMax: number;
  /** Time for a request to arrive in full, and again for its answer, ms. */
  readonly requestTimeoutMs: number;
  /** Origins whose pages may call; `*`: all. Default: none. */
  readonly corsOrigins?: readonly string[];
  /** A line in the log for each request. Default: none. */
  readonly accessLog?: boolean;
  /** Of callers' deadlines. Default: the machine's. */
  readonly clock?: Clock;
  /** Certificate and key, PEM; null: plain HTTP. Default null. */
  readonly tls?: { readonly cert: string; readonly key: string } | null;
  /** Who may do what. Default: no key is asked for. */
  readonly access?: Access;
  /** Gets a span of each request that asks for work; null: nobody does. Default null. */
  readonly tracing?: Tracing | null;
}

export interface HttpFace {
  /** Where it listens, for example `http://127.0.0.1:8080`. */
  readonly url: string;
  /** Every route of every protocol, method and pattern, for example `GET /v1/status`. */
  readonly routes: readonly string[];
  /** Takes no more connections, closes idle ones, lets running requests finish within `requestTimeoutMs`. */
  close(): Promise<void>;
}

/** Idle connections are kept this long, longer than the 60 s of common load balancers, so that those close first. */
const keepAliveMs = 65_000;
/** How often arrivals are checked against their time limit; also the largest error of that limit. */
const arrivalCheckMs = 1_000;

/**
 * Listens and serves.
 * @throws whatever `listen` throws, for example EADDRINUSE.
 */
export async function startHttp(options: HttpOptions): Promise<HttpFace> {
  const { service, registry, requestTimeoutMs } = options;
  const guard = createGuard(options.access ?? openAccess);
  const { app, refuser } = createApp(options, guard);
  const routes: string[] = [];
  app.addHook('onRoute', ({ method, url }) => {
    routes.push(...[method].flat().map((one) => `${one} ${url}`));
  });
  acceptJsonOnly(app);
  acceptOutcomeLines(app);
  await allowOrigins(app, options.corsOrigins ?? []);
  const metrics = httpMetricsIn(registry);
  addHooks(app, options, metrics);
  // Where refusals too need a line or headers of their own the framework makes them, from what the queue says.
  const isPlain = options.accessLog !== true && (options.corsOrigins ?? []).length === 0;
  if (isPlain) {
    const onRefused = (route: string, status: number) => metrics.observe(route, status, 0);
    shedBefore(app.server, createShed({ service, access: options.access ?? openAccess, onRefused }));
  }
  if (options.accessLog === true) logRequests(app, options.logger, guard);
  askForKeys(app, guard);
  if (options.tracing) traceRequests(app, options.tracing);
  honourDeadlines(app, options.clock ?? systemClock);
  answerUnknownRoutes(app);
  app.setErrorHandler((error, request, reply) => refuser.refuse(error, request, reply));
  await describeApi(app);
  addScoringRoutes(app, options);
  addModelRoutes(app, options);
  addVersionRoutes(app, options);
  addExperimentRoutes(app, options);
  addOperationRoutes(app, service, registry);
  addDescriptionRoutes(app);
  await addOipRoutes(app, { ...options, refuser });
  await addTfsRoutes(app, { ...options, refuser });
  const url = await app.listen({ host: options.host ?? '127.0.0.1', port: options.port });
  options.logger.info({ url }, 'http listening');
  let closed: Promise<void> | undefined;
  return {
    url,
    routes,
    close() {
      closed ??= closeApp(app, requestTimeoutMs);
      return closed;
    },
  };
}

function createApp(options: HttpOptions, guard: Guard): { app: FastifyInstance; refuser: Refuser } {
  const { requestTimeoutMs } = options;
  const unread = unreadBodies();
  const refuser = refuserWith({ logger: options.logger, unread });
  // Node swaps the two limits when the one for headers is the longer, so both are given.
  const arrival = {
    headersTimeout: requestTimeoutMs,
    requestTimeout: requestTimeoutMs,
    connectionsCheckingInterval: arrivalCheckMs,
  };
  const { tls = null } = options;
  const common = {
    logger: false,
    bodyLimit: bodyBytesMax,
    requestTimeout: requestTimeoutMs,
    keepAliveTimeout: keepAliveMs,
    // Requests that still arrive on open connections during a drain are served, with "connection: close".
    return503OnClosing: false,
    ajv: {
      // A wrong type is an error, not something to be bent into shape; unknown names are an error, not removed.
      customOptions: {
        coerceTypes: false,
        removeAdditional: false,
        useDefaults: false,
        allErrors: false,
        verbose: true,
        allowUnionTypes: true,
      },
    },
    schemaErrorFormatter: badRequestFrom,
    clientErrorHandler: brokenRequestHandler(unread),
    // Comes before the hooks; a fault of the path is told to those who may ask.
    frameworkErrors: (error, request, reply) => {
      const bodyOf = isForeignPath(request.url) ? plainErrorFrom : errorResponseFrom;
      refuser.refuse(guard.refusalOf(request) ?? error, request, reply, bodyOf);
    },
  } satisfies FastifyServerOptions;
  const app =
    tls === null
      ? fastify({ ...common, http: arrival })
      : fastify({ ...common, https: { ...arrival, cert: tls.cert, key: tls.key, minVersion: 'TLSv1.2' } });
  return { app, refuser };
}

/** Of every protocol. */
const readiness = /^(\/v2)?\/health\/ready$/;

function addHooks(app: FastifyInstance, options: HttpOptions, metrics: HttpMetrics): void {
  const connections = trackConnections(app.server, options.connectionsMax);
  let closing = false;
  app.addHook('preClose', (done) => {
    closing = true;
    connections.endUnused();
    done();
  });
  app.addHook('onRequest', (request, _reply, done) => {
    connections.admit(request.raw.socket);
    // Whoever balances load goes elsewhere while requests under way end.
    if (closing && readiness.test(request.routeOptions.url ?? ''))
      throw new MillraceError('MILL_CLOSED', 'this node is shutting down');
    done();
  });
  app.addHook('onSend', (_request, reply, _payload, done) => {
    if (closing) reply.header('connection', 'close');
    done();
  });
  app.addHook('onResponse', (request, reply, done) => {
    metrics.observe(request.routeOptions.url ?? 'unknown', reply.statusCode, reply.elapsedTime / 1000);
    done();
  });
}

function answerUnknownRoutes(app: FastifyInstance): void {
  const methods = ['GET', 'POST', 'PUT', 'DELETE'] as const;
  app.setNotFoundHandler((request) => {
    const path = request.url.split('?', 1)[0] ?? '';
    const taken = methods.filter((method) => app.findRoute({ method, url: path }) !== null);
    const hint = taken.length === 0 ? 'GET /openapi.json lists the routes' : `it takes ${taken.join(', ')}`;
    throw routeUnknown(request.method, path, hint);
  });
}

/** Requests that outlive the limit are cut, so that a close always ends. */
async function closeApp(app: FastifyInstance, limitMs: number): Promise<void> {
  const cut = setTimeout(() => app.server.closeAllConnections(), limitMs);
  try {
    await app.close();
  } finally {
    clearTimeout(cut);
  }
}
