/** A listening gRPC face over a stub, and clients of it: what grpc-js makes of the very definitions, with promises. */
import { credentials, Metadata, makeClientConstructor, type ServiceError } from '@grpc/grpc-js';
import { type Access, createManualClock } from '@millrace/runtime';
import { Registry } from 'prom-client';
import { onTestFinished } from 'vitest';
import { loadProtos } from '../../src/grpc/protos.ts';
import { startGrpc } from '../../src/grpc/start-grpc.ts';
import type { ScoringService } from '../../src/scoring-service.ts';
import type { Tracing } from '../../src/tracing/span.ts';
import { type Stub, type StubParts, stubService } from '../http/stub-service.ts';

export interface LogLine {
  readonly level: 'info' | 'warn' | 'error';
  readonly fields: object;
  readonly message: string;
}

/** Answers as grpc-js gives them: 64-bit integers are text, names as the loader makes them. */
export type Call = (method: string, request: object, deadlineMs?: number) => Promise<Record<string, unknown>>;

export const protos = loadProtos();

export async function openGrpc(
  options: {
    parts?: StubParts;
    service?: ScoringService;
    requestTimeoutMs?: number;
    access?: Access;
    tracing?: Tracing;
  } = {},
) {
  const service = options.service ?? stubService(options.parts);
  const log: LogLine[] = [];
  const lineOf = (level: LogLine['level']) => (fields: object, message: string) => {
    log.push({ level, fields, message });
  };
  const registry = new Registry();
  const clock = createManualClock(0);
  const face = await startGrpc({
    service,
    logger: { info: lineOf('info'), warn: lineOf('warn'), error: lineOf('error') },
    clock,
    registry,
    newIncidentId: () => 'incident-1',
    port: 0,
    requestTimeoutMs: options.requestTimeoutMs ?? 5_000,
    ...(options.access && { access: options.access }),
    tracing: options.tracing ?? null,
  });
  onTestFinished(() => face.close());
  return { face, log, registry, clock, service: service as Stub };
}

/** @param key  shown with every call; '': none. */
export function clientOf(address: string, serviceName: string, key = '') {
  const definition = protos.service(serviceName);
  const client = new (makeClientConstructor(definition, serviceName))(address, credentials.createInsecure());
  onTestFinished(() => client.close());
  const send = (
    method: string,
    serialize: (request: object) => Buffer,
    request: object,
    deadlineMs?: number,
  ) => {
    const { path, responseDeserialize } = definition[method];
    return new Promise<Record<string, unknown>>((resolve, reject) => {
      const done = (error: ServiceError | null, answer?: unknown) =>
        error ? reject(error) : resolve(answer as Record<string, unknown>);
      const metadata = new Metadata();
      if (key !== '') metadata.set('authorization', `Bearer ${key}`);
      const limits = deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs };
      client.makeUnaryRequest(path, serialize, responseDeserialize, request, metadata, limits, done);
    });
  };
  const call: Call = (method, request, deadlineMs) =>
    send(method, definition[method].requestSerialize, request, deadlineMs);
  /** Sends bytes as they are, whether they are a message or not. */
  const callBytes = (method: string, bytes: Buffer, deadlineMs: number) =>
    send(method, () => bytes, {}, deadlineMs);
  return { client, call, callBytes };
}

/** Code, text and metadata of a refusal, or null. */
export function refusalOf(error: unknown): { code: number; details: string; mill: unknown } {
  const { code, details, metadata } = error as ServiceError;
  return { code, details, mill: metadata.get('millrace-code')[0] };
}
