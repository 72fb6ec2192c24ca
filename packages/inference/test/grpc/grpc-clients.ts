/** A listening gRPC face over a stub, and clients of it: what grpc-js makes of the very definitions, with promises. */
import { type Client, credentials, Metadata, makeClientConstructor, type ServiceError } from '@grpc/grpc-js';
import { type Access, createManualClock } from '@millrace/runtime';
import { Registry } from 'prom-client';
import { onTestFinished } from 'vitest';
import { loadProtos } from '../../src/grpc/protos.ts';
import { startGrpc } from '../../src/grpc/start-grpc.ts';
import type { ScoringService } from '../../src/scoring-service.ts';
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
  options: { parts?: StubParts; service?: ScoringService; requestTimeoutMs?: number; access?: Access } = {},
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
    ...(options.access && { access: options.access }),
    requestTimeoutMs: options.requestTimeoutMs ?? 5_000,
  });
  onTestFinished(() => face.close());
  return { face, log, registry, clock, service: service as Stub };
}

export function clientOf(
  address: string,
  serviceName: string,
): { readonly client: Client; readonly call: Call } {
  const definition = protos.service(serviceName);
  const client = new (makeClientConstructor(definition, serviceName))(address, credentials.createInsecure());
  onTestFinished(() => client.close());
  const call: Call = (method, request, deadlineMs) => {
    const { path, requestSerialize, responseDeserialize } = definition[method];
    return new Promise((resolve, reject) => {
      const done = (error: ServiceError | null, answer?: unknown) =>
        error ? reject(error) : resolve(answer as Record<string, unknown>);
      const limits = deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs };
      client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        new Metadata(),
        limits,
        done,
      );
    });
  };
  return { client, call };
}

/** Code, text and metadata of a refusal, or null. */
export function refusalOf(error: unknown): { code: number; details: string; mill: unknown } {
  const { code, details, metadata } = error as ServiceError;
  return { code, details, mill: metadata.get('millrace-code')[0] };
}
