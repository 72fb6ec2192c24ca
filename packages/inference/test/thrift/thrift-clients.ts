/** A listening Thrift face, and clients of it: what the Thrift compiler (0.17) made of millrace.thrift, over the package's own connection. */
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { createManualClock, openAccess } from '@millrace/runtime';
import { Registry } from 'prom-client';
import { onTestFinished } from 'vitest';
import { startThrift, type ThriftOptions } from '../../src/thrift/start-thrift.ts';
import { stubService } from '../http/stub-service.ts';

const load = createRequire(import.meta.url);
const thrift = load('thrift');
const generated = load('./generated/Millrace.cjs');
/** Constructors of the messages, by name. */
export const types = load('./generated/millrace_types.cjs');

export interface ThriftClient {
  score(request: object): Promise<Record<string, unknown>>;
  rank(request: object): Promise<Record<string, unknown>>;
  sendOutcomes(request: object): Promise<Record<string, unknown>>;
}

export async function openThrift(options: Partial<ThriftOptions> = {}) {
  const log: string[] = [];
  const note = (_: object, message: string) => void log.push(message);
  const registry = new Registry();
  const clock = createManualClock(0);
  const face = await startThrift({
    service: stubService(),
    logger: { info: note, warn: note, error: note },
    clock,
    registry,
    newIncidentId: () => 'incident-1',
    port: 0,
    connectionsMax: 64,
    requestTimeoutMs: 5_000,
    access: openAccess,
    ...options,
  });
  onTestFinished(() => face.close());
  return { face, log, registry, clock };
}

export async function clientOf(port: number): Promise<ThriftClient> {
  const options = { transport: thrift.TFramedTransport, protocol: thrift.TBinaryProtocol };
  const connection = thrift.createConnection('127.0.0.1', port, options);
  onTestFinished(() => connection.destroy());
  await once(connection, 'connect');
  return thrift.createClient(generated, connection);
}

/** Features as a map of unions: text, numbers, bigints and lists of texts. */
export function featuresOf(values: Readonly<Record<string, unknown>>): object {
  const unionOf = (value: unknown): object => {
    if (typeof value === 'string') return { text: value };
    if (typeof value === 'number') return { number: value };
    if (typeof value === 'boolean') return { flag: value };
    if (typeof value === 'bigint') return { integer: thrift.fromBigInt(value) };
    return { values: (value as readonly unknown[]).map((entry) => new types.Scalar(unionOf(entry))) };
  };
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, new types.FeatureValue(unionOf(value))]),
  );
}
