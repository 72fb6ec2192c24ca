/**
 * Mutated requests over every protocol, against a real core behind real sockets: no crash, no hang, no refusal without a code
 * of the table, no memory that is kept. FUZZ_REQUESTS=100000 sends so many over each and prints a line of figures;
 * FUZZ_SEED=… repeats a run, whose seed is part of every failure.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { status } from '@grpc/grpc-js';
import { type ErrorCode, errorTable } from '@millrace/protocol';
import type { Bus, MemoryBus } from '@millrace/runtime';
import { Registry } from 'prom-client';
import { expect, onTestFinished, test } from 'vitest';
import { inferenceServiceName, nativeServiceName } from '../../src/grpc/protos.ts';
import { startHttp } from '../../src/http/start-http.ts';
import { openGrpc, protos } from '../grpc/grpc-clients.ts';
import { demoFile } from '../http/stub-service.ts';
import { linear, openStage, quietLogger, sigmoid } from '../small-serving.ts';
import { openThrift } from '../thrift/thrift-clients.ts';
import { grpcShotOf } from './grpc-shots.ts';
import { httpProtocols, httpShotOf } from './http-shots.ts';
import { type Random, randomFrom } from './mutations.ts';
import { openPipeline } from './pipelined.ts';
import { frameOf, openRawGrpc, type RawAnswer } from './raw-grpc.ts';
import { openFrames, thriftOutcomeOf, thriftShotOf } from './thrift-shots.ts';

const isLong = process.env.FUZZ_REQUESTS !== undefined;
const requests = Number(process.env.FUZZ_REQUESTS ?? 1_000);
const seed = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 1e9));
const connections = 8;
const inFlight = 64;
const hangMs = 20_000;
const timeout = 60_000 + 20 * requests;
/** What the second half of a run may leave behind, MiB; a kept request of 100 bytes would be twice that in 100,000. */
const keptMibMax = 5;

/** Of a busy node; every other status from 500 on is a defect. */
const busyCodes: readonly unknown[] = ['MILL_OVERLOADED', 'MILL_TIMEOUT'];

interface Figures {
  readonly outcomes: ReadonlyMap<string, number>;
  readonly perSecond: number;
  readonly keptMib: number;
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function heapMib(): number {
  collect();
  return process.memoryUsage().heapUsed / 2 ** 20;
}

/** Sends `requests` shots, so many at a time; counts how often each outcome came. */
async function sendAll(send: (random: Random, lane: number) => Promise<string>): Promise<Figures> {
  const outcomes = new Map<string, number>();
  let sent = 0;
  const sendUntil = async (end: number) => {
    const lane = async (_: unknown, lane: number) => {
      while (sent < end) {
        sent += 1;
        const outcome = await send(randomFrom(seed + sent), lane);
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      }
    };
    await Promise.all(Array.from({ length: inFlight }, lane));
  };
  const startMs = performance.now();
  await sendUntil(Math.ceil(requests / 2));
  const halfMib = heapMib();
  await sendUntil(requests);
  const perSecond = Math.round((1_000 * requests) / (performance.now() - startMs));
  return { outcomes, perSecond, keptMib: Math.round(10 * (heapMib() - halfMib)) / 10 };
}

/** A core whose events go nowhere: those that a log in memory keeps are no leak. */
async function openCore() {
  const over = (bus: MemoryBus): Bus => {
    const append = bus.append.bind(bus);
    return Object.assign(bus, {
      append: (...args: Parameters<Bus['append']>) =>
        args[0] === 'events' ? Promise.resolve(1) : append(...args),
    });
  };
  const { core, failures } = await openStage([linear, demoFile], { over });
  onTestFinished(() => expect(failures).toEqual([]));
  return core;
}

/** What is wrong with an answer, or its code; 'ok' when it scored. */
function outcomeOf(path: string, httpStatus: number, body: string): string {
  if (httpStatus === 200) return 'ok';
  const { error } = JSON.parse(body) as { error: string | { code: string } };
  const code = typeof error === 'string' ? error.split(':')[0] : error.code;
  const isPlain = typeof error === 'string';
  const kind = errorTable[code as ErrorCode];
  const isForeign = path.startsWith('/v2') || path.startsWith('/v1/models/');
  if (isPlain !== isForeign) return `wrong form: ${path} ${body}`;
  if (kind === undefined || kind.http !== httpStatus || isDefect(code, httpStatus))
    return `uncoded ${httpStatus}: ${body}`;
  return code;
}

function isDefect(code: unknown, httpStatus: number): boolean {
  return httpStatus >= 500 && !busyCodes.includes(code);
}

test.each(Object.keys(httpProtocols))('fuzz: %s over HTTP', { timeout }, async (protocol) => {
  const core = await openCore();
  const http = await startHttp({
    service: core,
    logger: quietLogger,
    registry: new Registry(),
    port: 0,
    connectionsMax: 100,
    requestTimeoutMs: 10_000,
  });
  const port = Number(new URL(http.url).port);
  const pipelines = Array.from({ length: connections }, () => openPipeline(port, hangMs));
  const figures = await sendAll(async (random, lane) => {
    const shot = httpShotOf(random, protocol);
    const answered = pipelines[lane % connections].post(shot);
    return answered.then(
      ({ status, body }) => outcomeOf(shot.path, status, body),
      (error: Error) => `lost: ${shot.path} ${JSON.stringify(shot.headers)}: ${error.message}`,
    );
  });
  for (const pipeline of pipelines) pipeline.close();
  await http.close();
  expectCoded(`${protocol} over HTTP`, figures);
  expect((await core.score({ model: 'ads', items: [{ ad: 'x' }] })).scores).toEqual([sigmoid(0)]);
});

function grpcOutcomeOf({ status: found, code, details }: RawAnswer): string {
  if (found === status.OK) return 'ok';
  const kind = errorTable[code as ErrorCode];
  const isCoded = kind !== undefined && status[kind.grpc] === found && !isDefect(code, kind.http);
  return isCoded ? String(code) : `uncoded ${found}: ${details}`;
}

test.each([nativeServiceName, inferenceServiceName])('fuzz: %s over gRPC', { timeout }, async (name) => {
  const core = await openCore();
  const { face } = await openGrpc({ service: core });
  const clients = Array.from({ length: connections }, () => openRawGrpc(face.address, hangMs));
  const figures = await sendAll(async (random, lane) => {
    const { method, bytes } = grpcShotOf(random, name);
    const answered = clients[lane % connections].call(protos.service(name)[method].path, frameOf(bytes));
    return answered.then(grpcOutcomeOf, (error: Error) => `lost: ${method} ${error.message}`);
  });
  for (const client of clients) client.close();
  expectCoded(`${name} over gRPC`, figures);
  expect((await core.score({ model: 'ads', items: [{ ad: 'x' }] })).scores).toEqual([sigmoid(0)]);
});

test('fuzz: thrift', { timeout }, async () => {
  const core = await openCore();
  const { face } = await openThrift({ service: core });
  const clients = Array.from({ length: inFlight }, () => openFrames(face.port, hangMs));
  const figures = await sendAll(async (random, lane) => {
    const answer = await clients[lane].exchange(thriftShotOf(random));
    if (answer === null) return 'closed';
    return thriftOutcomeOf(answer.toString('latin1'));
  });
  for (const client of clients) client.close();
  // Where a message's head cannot be read there is nobody to answer.
  const { outcomes } = figures;
  expect(outcomes.get('closed') ?? 0).toBeLessThan(requests / 2);
  expectCoded('thrift', figures, ['closed', 'wanted a call', 'wanted one of score, rank, sendOutcomes']);
  expect((await core.score({ model: 'ads', items: [{ ad: 'x' }] })).scores).toEqual([sigmoid(0)]);
});

/** Some were right, some were wrong, each of those was told by a code, and nothing of them is kept. */
function expectCoded(
  protocol: string,
  { outcomes, perSecond, keptMib }: Figures,
  also: readonly string[] = [],
): void {
  const told = Object.fromEntries(outcomes);
  if (isLong)
    process.stdout.write(
      `${JSON.stringify({ fuzz: protocol, requests, seed, perSecond, keptMib, outcomes: told })}\n`,
    );
  const bad = [...outcomes.keys()].filter(
    (outcome) => outcome !== 'ok' && !Object.hasOwn(errorTable, outcome) && !also.includes(outcome),
  );
  expect({ seed, bad }).toEqual({ seed, bad: [] });
  expect(outcomes.get('ok')).toBeGreaterThan(0);
  expect(outcomes.get('MILL_BAD_REQUEST')).toBeGreaterThan(0);
  expect([...outcomes.values()].reduce((sum, count) => sum + count, 0)).toBe(requests);
  expect({ seed, keptMib, isKept: keptMib > keptMibMax }).toEqual({ seed, keptMib, isKept: false });
}
