/** The gRPC face of the scoring server: the native service, the Open Inference Protocol, health and reflection. */
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { bodyBytesMax } from '@millrace/protocol';
import { type Access, type Clock, openAccess } from '@millrace/runtime';
import { Counter, type Registry } from 'prom-client';
import type { Logger } from '../http/refusals.ts';
import type { ScoringService } from '../scoring-service.ts';
import type { Tracing } from '../tracing/span.ts';
import { keyInterceptor } from './access.ts';
import { healthService } from './health-service.ts';
import { inferStreams } from './infer-stream.ts';
import { inferenceAnswers } from './inference-service.ts';
import { nativeAnswers } from './native-service.ts';
import { healthServiceName, inferenceServiceName, loadProtos, nativeServiceName } from './protos.ts';
import { type CallOptions, tolerant, unaryMethods } from './unary.ts';

export interface GrpcOptions {
  readonly service: ScoringService;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Gets the count of calls. */
  readonly registry: Registry;
  readonly newIncidentId: () => string;
  /** Default 127.0.0.1, as HTTP's. */
  readonly host?: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Time for an answer, ms. */
  readonly requestTimeoutMs: number;
  /** Who may call what. Default: no key is asked for. */
  readonly access?: Access;
  /** Gets a span of each unary call; null: nobody does. Default null. */
  readonly tracing?: Tracing | null;
  /** Certificate and key, PEM; null: without TLS. Default null. */
  readonly tls?: { readonly cert: string; readonly key: string } | null;
}

export interface GrpcFace {
  /** Where it listens, for example `127.0.0.1:8500`. */
  readonly address: string;
  /** Takes no more calls, lets running ones finish within `requestTimeoutMs`. */
  close(): Promise<void>;
}

/** Calls of one connection at once; more wait in the client. */
const streamsMax = 1_024;

/**
 * Listens and serves.
 * @throws what binding throws, for example that the address is in use.
 */
export async function startGrpc(options: GrpcOptions): Promise<GrpcFace> {
  const { service, clock, host = '127.0.0.1' } = options;
  const protos = loadProtos();
  const server = new Server({
    'grpc.max_receive_message_length': bodyBytesMax,
    'grpc.max_concurrent_streams': streamsMax,
    interceptors: [keyInterceptor(options.access ?? openAccess)],
  });
  const calls: CallOptions = { ...options, onAnswered: countIn(options.registry) };
  const native = tolerant(protos.service(nativeServiceName));
  server.addService(native, unaryMethods(calls, nativeAnswers(service)));
  const inference = tolerant(protos.service(inferenceServiceName));
  const answers = inferenceAnswers(service, clock);
  const streams = inferStreams(calls, answers.ModelInfer);
  server.addService(inference, { ...unaryMethods(calls, answers), ...streams.methods });
  const health = healthService(service, ['', nativeServiceName, inferenceServiceName], clock);
  server.addService(protos.service(healthServiceName), health.methods);
  new ReflectionService(protos.all).addToServer(server);
  const bound = host.includes(':') ? `[${host}]` : host;
  const proof = credentialsFrom(options.tls ?? null);
  const port = await bind(server, `${bound}:${options.port}`, proof).catch((error: unknown) => {
    health.close();
    throw error;
  });
  const address = `${bound}:${port}`;
  options.logger.info({ address }, 'grpc listening');
  let closed: Promise<void> | undefined;
  return {
    address,
    close() {
      closed ??= closeServer(server, [health, streams], { clock, limitMs: options.requestTimeoutMs });
      return closed;
    },
  };
}

function credentialsFrom(tls: GrpcOptions['tls']): ServerCredentials {
  if (!tls) return ServerCredentials.createInsecure();
  const pair = { cert_chain: Buffer.from(tls.cert), private_key: Buffer.from(tls.key) };
  return ServerCredentials.createSsl(null, [pair]);
}

function bind(server: Server, address: string, proof: ServerCredentials): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, proof, (error, port) => {
      if (error) reject(error);
      else resolve(port);
    });
  });
}

/** Calls that outlive the limit are cut, so that a close always ends. */
async function closeServer(
  server: Server,
  lasting: readonly { close(): void }[],
  { clock, limitMs }: { readonly clock: Clock; readonly limitMs: number },
): Promise<void> {
  for (const calls of lasting) calls.close();
  const cut = clock.setTimer(limitMs, () => server.forceShutdown());
  await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
  cut.cancel();
}

function countIn(registry: Registry): CallOptions['onAnswered'] {
  const counter = new Counter({
    name: 'millrace_grpc_requests_total',
    help: 'gRPC calls answered.',
    labelNames: ['method', 'status'] as const,
    registers: [registry],
  });
  return (method, status) => counter.inc({ method, status });
}
