/** The inference process: follows the cluster, serves every model over HTTP, leaves in order. */
import { randomUUID } from 'node:crypto';
import { availableParallelism } from 'node:os';
import {
  type CopyFormat,
  createCacheGauges,
  createHedgeCounters,
  createHotRowCache,
  createPullClient,
  createReadFloor,
  type HotRowCache,
  type HotRowCacheOptions,
  type PullPreferences,
} from '@millrace/client';
import { type EngineName, sharedAside } from '@millrace/model';
import {
  type Access,
  type Bus,
  type Clock,
  type Logger,
  type Metrics,
  type Network,
  watchCluster,
} from '@millrace/runtime';
import type { Archive } from '@millrace/snapshot';
import type { BatchingLimits } from './batcher.ts';
import { createBusyLoop } from './busy-loop.ts';
import { createEngineGauge } from './engine-gauge.ts';
import type { GrpcFace } from './grpc/start-grpc.ts';
import { type HttpFace, startHttp } from './http/start-http.ts';
import { createNetReader } from './net-files.ts';
import { tellNode } from './node-metrics.ts';
import { createScoringCore } from './scoring-core.ts';
import type { ScoringService } from './scoring-service.ts';
import type { ThriftFace } from './thrift/start-thrift.ts';
import type { Tracing } from './tracing/span.ts';
import { tracedService } from './tracing/traced-service.ts';
import { createUnreadWait } from './unread-wait.ts';
import { untilListening } from './until-listening.ts';

export interface InferenceOptions {
  readonly bus: Bus;
  readonly network: Network;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly cluster: string;
  /** Shown to shards; null: none. Default null. */
  readonly token?: string | null;
  readonly archive: Archive | null;
  readonly engine: 'auto' | EngineName;
  /** Share of its time that this thread is busy from which on scores are made beside it; 1 (default): never. */
  readonly asideFrom?: number;
  readonly limits: BatchingLimits;
  readonly swapEveryMs: number;
  readonly pullTimeoutMs: number;
  /** Default: as PullPreferences says. */
  readonly pull?: PullPreferences;
  /** Rows of each table that are kept; 0 (default): none are. */
  readonly cacheRows?: number;
  /** Kept rows are read while they are this old at most, ms. Default 1 s. */
  readonly cacheStalenessMsMax?: number;
  /** How rows are kept. Default float32. */
  readonly cacheRowFormat?: CopyFormat;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** 0: no gRPC. Default 0. */
  readonly grpcPort?: number;
  /** 0: no Thrift. Default 0. */
  readonly thriftPort?: number;
  readonly connectionsMax: number;
  readonly requestTimeoutMs: number;
  /** Whether each HTTP request gets a line in the log. Default: off. */
  readonly accessLog?: 'on' | 'off';
  /** With the files of imported nets; null: no model with one is served. Default null. */
  readonly netsDirectory?: string | null;
  /** Origins whose pages may call. Default: none. */
  readonly corsOrigins?: readonly string[] | null;
  /** Certificate and key of the HTTP, gRPC and Thrift ports, PEM; null: without TLS. Default null. */
  readonly httpTls?: { readonly cert: string; readonly key: string } | null;
  /** Who may do what. Default: no key is asked for. */
  readonly access?: Access;
  /** Release and commit that versions taken here tell of. Default: the release. */
  readonly code?: () => string;
  /** Gets spans of requests; null: nobody does. Stays open. Default null. */
  readonly tracing?: Tracing | null;
  readonly onFailed: (error: Error) => void;
}

export interface RunningInference {
  readonly url: string;
  /** Where gRPC listens; null: nowhere. */
  readonly grpcAddress: string | null;
  /** Where Thrift listens; null: nowhere. */
  readonly thriftPort: number | null;
  close(): Promise<void>;
}

/** With one core there is nothing beside. */
function mayScoreAside(options: InferenceOptions): options is InferenceOptions & { asideFrom: number } {
  return (options.asideFrom ?? 1) < 1 && availableParallelism() > 1;
}

export async function startInference(options: InferenceOptions): Promise<RunningInference> {
  const { bus, clock, logger, metrics } = options;
  const view = await watchCluster(bus, clock, logger, options.pull);
  const floor = createReadFloor();
  const pulls = createPullClient({
    network: options.network,
    view,
    clock,
    cluster: options.cluster,
    role: 'inference',
    token: options.token ?? null,
    onRefused: ({ code, message }) => logger.warn({ code, reason: message }, 'refused by a shard'),
    requestTimeoutMs: options.pullTimeoutMs,
    ...options.pull,
    floor,
    onHedge: createHedgeCounters(options.metrics),
  });
  const cache = openCache(options, { view, rows: pulls, floor });
  const rows = cache ?? pulls;
  const onOpened = createEngineGauge(metrics);
  const readNet = createNetReader(options.netsDirectory ?? null);
  const core = createScoringCore({
    ...options,
    view,
    rows,
    rowFormat: cache === null ? 'float32' : (options.cacheRowFormat ?? 'float32'),
    newRequestId: randomUUID,
    node: randomUUID(),
    onOpened,
    readNet,
    unreadMs: createUnreadWait(clock),
    hear: sharedAside.hear,
    ...(mayScoreAside(options) && { isBusy: createBusyLoop(options.asideFrom, clock) }),
  });
  const stopListening = view.onChange(() => {
    core.reconcile().catch(options.onFailed);
  });
  await core.reconcile();
  tellNode(metrics, core);
  const { tracing = null } = options;
  const { service, listening } = untilListening(tracing === null ? core : tracedService(core));
  const http = await startHttp({
    service,
    tracing,
    logger,
    registry: metrics.registry,
    host: options.host,
    port: options.port,
    connectionsMax: options.connectionsMax,
    requestTimeoutMs: options.requestTimeoutMs,
    accessLog: options.accessLog === 'on',
    corsOrigins: options.corsOrigins ?? [],
    tls: options.httpTls ?? null,
    ...(options.access && { access: options.access }),
  });
  const grpc = await openGrpc(options, service, http);
  const thrift = await openThrift(options, service).catch(async (error: unknown) => {
    await Promise.all([http.close(), grpc?.close()]);
    throw error;
  });
  listening();
  return {
    url: http.url,
    grpcAddress: grpc?.address ?? null,
    thriftPort: thrift?.port ?? null,
    async close() {
      await Promise.all([http.close(), grpc?.close(), thrift?.close()]);
      stopListening();
      await core.close();
      await cache?.close();
      pulls.close();
      await view.close();
    },
  };
}

function openCache(
  {
    bus,
    clock,
    logger,
    metrics,
    cacheRows = 0,
    cacheStalenessMsMax = 1_000,
    cacheRowFormat,
  }: InferenceOptions,
  behind: Pick<HotRowCacheOptions, 'view' | 'rows' | 'floor'>,
): HotRowCache | null {
  if (cacheRows === 0) return null;
  const bounds = { rowsMax: cacheRows, stalenessMsMax: cacheStalenessMsMax };
  const format = cacheRowFormat ?? 'float32';
  const cache = createHotRowCache({ bus, clock, logger, ...behind, ...bounds, format });
  createCacheGauges(metrics, cache);
  return cache;
}

/** A gRPC face where a port is given; when it cannot listen, HTTP is closed again. */
async function openGrpc(
  options: InferenceOptions,
  service: ScoringService,
  http: HttpFace,
): Promise<GrpcFace | null> {
  const { grpcPort = 0, logger, clock, metrics, host, requestTimeoutMs } = options;
  if (grpcPort === 0) return null;
  const { registry } = metrics;
  // Loaded here: a process without gRPC does not pay for its libraries at every start.
  const { startGrpc } = await import('./grpc/start-grpc.ts');
  const parts = { service, logger, clock, registry, newIncidentId: randomUUID, host, requestTimeoutMs };
  const edges = {
    tls: options.httpTls ?? null,
    tracing: options.tracing ?? null,
    ...(options.access && { access: options.access }),
  };
  return await startGrpc({ ...parts, ...edges, port: grpcPort }).catch(async (error: unknown) => {
    await http.close();
    throw error;
  });
}

/** A Thrift face where a port is given; loaded here, as gRPC's. */
async function openThrift(options: InferenceOptions, service: ScoringService): Promise<ThriftFace | null> {
  const { thriftPort: port = 0, logger, clock, metrics, host, connectionsMax, requestTimeoutMs } = options;
  if (port === 0) return null;
  const { startThrift } = await import('./thrift/start-thrift.ts');
  const parts = { service, logger, clock, registry: metrics.registry, newIncidentId: randomUUID, host, port };
  const edges = { tls: options.httpTls ?? null, tracing: options.tracing ?? null };
  const limits = { connectionsMax, requestTimeoutMs };
  return startThrift({ ...parts, ...edges, ...limits, ...(options.access && { access: options.access }) });
}
