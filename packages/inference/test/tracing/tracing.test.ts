/** Spans as a collector receives them: a plain HTTP server that reads OTLP/JSON. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Metadata } from '@grpc/grpc-js';
import { MillraceError } from '@millrace/protocol';
import { createKeyedAccess, createManualClock, hashOfKey } from '@millrace/runtime';
import { createMillraceClient } from '@millrace/sdk';
import { Registry } from 'prom-client';
import { expect, onTestFinished, test } from 'vitest';
import { nativeServiceName } from '../../src/grpc/protos.ts';
import { startHttp } from '../../src/http/start-http.ts';
import { openTracing } from '../../src/tracing/open-tracing.ts';
import type { Tracing } from '../../src/tracing/span.ts';
import { tracedService } from '../../src/tracing/traced-service.ts';
import { clientOf, openGrpc, protos } from '../grpc/grpc-clients.ts';
import { linear, openStage, quietLogger } from '../small-serving.ts';

interface SpanJson {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly attributes: readonly { readonly key: string; readonly value: Record<string, unknown> }[];
  readonly links?: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly status: { readonly code?: number; readonly message?: string };
}

interface Collector {
  readonly url: string;
  readonly paths: string[];
  readonly texts: string[];
  spans(): readonly SpanJson[];
  status: number;
}

async function openCollector(): Promise<Collector> {
  const paths: string[] = [];
  const texts: string[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      paths.push(`${request.method} ${request.url} ${request.headers['content-type']}`);
      if (collector.status === 200) texts.push(Buffer.concat(chunks).toString());
      response.writeHead(collector.status, { 'content-type': 'application/json' }).end('{}');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const collector: Collector = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    paths,
    texts,
    status: 200,
    spans: () =>
      texts.flatMap((text) => {
        const { resourceSpans } = JSON.parse(text) as {
          resourceSpans: { scopeSpans: { spans: SpanJson[] }[] }[];
        };
        return resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans));
      }),
  };
  return collector;
}

async function openTraced(change: { ratio?: number; keyed?: boolean; logger?: typeof quietLogger } = {}) {
  const collector = await openCollector();
  const { ratio = 1, keyed = false, logger = quietLogger } = change;
  const tracing = await openTracing({ url: collector.url, ratio, cluster: 'demo', logger });
  onTestFinished(() => tracing.close());
  const stage = await openStage([linear]);
  const service = tracedService(stage.core);
  const keys = [{ name: 'shop', sha256: hashOfKey('key-of-shop'), roles: ['score' as const] }];
  const http = await startHttp({
    service,
    tracing,
    logger: quietLogger,
    registry: new Registry(),
    port: 0,
    connectionsMax: 100,
    requestTimeoutMs: 10_000,
    ...(keyed && { access: createKeyedAccess(keys, createManualClock(0)) }),
  });
  onTestFinished(() => http.close());
  return { ...stage, collector, tracing, service, http };
}

const trace = (digit: string) => digit.repeat(32);
const callerSpan = 'c'.repeat(16);
const parentOf = (digit: string, flags = '01') => `00-${trace(digit)}-${callerSpan}-${flags}`;
const secret = 'a-feature-of-the-user';

function score(url: string, headers: Record<string, string>, body: object = {}): Promise<Response> {
  return fetch(`${url}/v1/score`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ model: 'ads', user: { who: secret }, items: [{ ad: secret }], ...body }),
  });
}

function attributesOf({ attributes }: SpanJson): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}

test('tracing: http: score, batch, pull and forward below the caller’s span, without a feature', async () => {
  const { http, collector, tracing } = await openTraced();
  const answer = await score(http.url, { traceparent: parentOf('a'), tracestate: 'shop=1' });
  expect(answer.status).toBe(200);
  const told = answer.headers.get('traceresponse');
  await tracing.close();
  const spans = collector.spans();
  const named = Object.fromEntries(spans.map((span) => [span.name, span]));
  expect(Object.keys(named).sort()).toEqual(['POST /v1/score', 'batch', 'forward', 'pull', 'score']);
  expect(spans.length).toBe(5);
  const parents = Object.fromEntries(
    spans.map(({ name, parentSpanId }) => [
      name,
      spans.find(({ spanId }) => spanId === parentSpanId)?.name ?? parentSpanId,
    ]),
  );
  expect(parents).toEqual({
    'POST /v1/score': callerSpan,
    score: 'POST /v1/score',
    batch: 'score',
    pull: 'batch',
    forward: 'batch',
  });
  expect(new Set(spans.map(({ traceId }) => traceId))).toEqual(new Set([trace('a')]));
  expect(told).toBe(`00-${trace('a')}-${named['POST /v1/score'].spanId}-01`);
  expect(attributesOf(named['POST /v1/score'])).toEqual({
    'http.request.method': 'POST',
    'http.route': '/v1/score',
    'url.scheme': 'http',
    'http.response.status_code': 200,
  });
  expect(attributesOf(named.score)).toMatchObject({ 'millrace.items': 1, 'millrace.model': 'ads' });
  expect(attributesOf(named.batch)).toEqual({
    'millrace.requests': 1,
    'millrace.rows': 1,
    'millrace.model': 'ads',
  });
  expect([named['POST /v1/score'].kind, named.score.kind, named.pull.kind]).toEqual([2, 1, 3]);
  expect(collector.texts.join()).not.toContain(secret);
  expect(collector.paths).toEqual(['POST /v1/traces application/json']);
});

test('tracing: a batch of several requests is below the first and links to the others', async () => {
  const { service, rows, collector, tracing } = await openTraced();
  const begun = ['a', 'b', 'c'].map((digit) => tracing.begin('asked', {}, { traceparent: parentOf(digit) }));
  const callers = begun.map((span) => ({ gone: false, span: span ?? undefined }));
  const input = { model: 'ads', items: [{ ad: 'x' }] };
  await Promise.all(callers.map((caller) => service.score(input, caller)));
  expect(rows.asked.length).toBe(1);
  for (const span of begun) span?.end();
  await tracing.close();
  const spans = collector.spans();
  const batches = spans.filter(({ name }) => name === 'batch');
  expect(batches.length).toBe(1);
  const scoreOf = (digit: string) =>
    spans.find(({ name, traceId }) => name === 'score' && traceId === trace(digit));
  expect(batches[0].parentSpanId).toBe(scoreOf('a')?.spanId);
  expect(batches[0].links?.map(({ traceId, spanId }) => [traceId, spanId])).toEqual(
    ['b', 'c'].map((digit) => [trace(digit), scoreOf(digit)?.spanId]),
  );
});

test('tracing: grpc: the same spans, and metadata tells which', async () => {
  const { service, collector, tracing } = await openTraced();
  const { face } = await openGrpc({ service, tracing });
  const { client } = clientOf(face.address, nativeServiceName);
  const { path, requestSerialize, responseDeserialize } = protos.service(nativeServiceName).Score;
  const metadata = new Metadata();
  metadata.set('traceparent', parentOf('d'));
  const request = { model: 'ads', items: [{ values: { ad: { text: secret } } }], log: false };
  let told: unknown;
  await new Promise<void>((resolve, reject) => {
    client
      .makeUnaryRequest(path, requestSerialize, responseDeserialize, request, metadata, (error) =>
        error ? reject(error) : resolve(),
      )
      .on('metadata', (answered) => {
        [told] = answered.get('traceresponse');
      });
  });
  await tracing.close();
  const spans = collector.spans();
  expect(spans.map(({ name }) => name).sort()).toEqual([
    'batch',
    'forward',
    'millrace.v1.Millrace/Score',
    'pull',
    'score',
  ]);
  const server = spans.find(({ name }) => name === 'millrace.v1.Millrace/Score') as SpanJson;
  expect([server.traceId, server.parentSpanId]).toEqual([trace('d'), callerSpan]);
  expect(told).toBe(`00-${trace('d')}-${server.spanId}-01`);
  expect(attributesOf(server)).toMatchObject({ 'rpc.method': 'Score', 'rpc.grpc.status_code': 0 });
  expect(collector.texts.join()).not.toContain(secret);
});

test('tracing: what fails is told by its code, without its text', async () => {
  const { http, rows, collector, tracing } = await openTraced();
  rows.failure = new MillraceError('MILL_SHARD_UNAVAILABLE', `no shard for ${secret}`);
  expect((await score(http.url, {})).status).toBe(503);
  rows.failure = null;
  expect((await score(http.url, {}, { user: { who: [secret, { secret }] } })).status).toBe(400);
  await tracing.close();
  const failed = collector.spans().filter(({ status }) => status.code === 2);
  expect(failed.map((span) => [span.name, attributesOf(span)['error.type']])).toEqual(
    expect.arrayContaining([
      ['pull', 'MILL_SHARD_UNAVAILABLE'],
      ['score', 'MILL_SHARD_UNAVAILABLE'],
    ]),
  );
  expect(collector.texts.join()).not.toContain(secret);
});

test('tracing: nothing is told of what is not sampled, of reads, and of callers without a key', async () => {
  const { http, collector, tracing } = await openTraced({ ratio: 0, keyed: true });
  const key = { 'x-api-key': 'key-of-shop' };
  const unsampled = await score(http.url, { ...key, traceparent: parentOf('a', '00') });
  expect([unsampled.status, unsampled.headers.get('traceresponse')]).toEqual([200, null]);
  expect((await score(http.url, { ...key, traceparent: 'garbage' })).status).toBe(200);
  expect((await score(http.url, { traceparent: parentOf('b') })).status).toBe(401);
  await fetch(`${http.url}/v1/models`, { headers: { ...key, traceparent: parentOf('c') } });
  const kept = await score(http.url, { ...key, traceparent: parentOf('d') });
  expect(kept.headers.get('traceresponse')).toMatch(/^00-d{32}-/);
  await tracing.close();
  expect(new Set(collector.spans().map(({ traceId }) => traceId))).toEqual(new Set([trace('d')]));
});

test('tracing: the client takes a trace along', async () => {
  const { http, collector, tracing } = await openTraced({ ratio: 0 });
  let current: string | null = parentOf('e');
  const client = createMillraceClient({ url: http.url, traceparent: () => current });
  onTestFinished(() => client.close());
  await client.score({ model: 'ads', items: [{ ad: 'x' }] });
  current = null;
  await client.score({ model: 'ads', items: [{ ad: 'x' }] });
  await tracing.close();
  const servers = collector.spans().filter(({ name }) => name === 'POST /v1/score');
  expect(servers.map(({ traceId, parentSpanId }) => [traceId, parentSpanId])).toEqual([
    [trace('e'), callerSpan],
  ]);
});

test('tracing: a collector that refuses costs its spans, and is told of once', async () => {
  const said: unknown[] = [];
  const logger = Object.assign(Object.create(quietLogger) as typeof quietLogger, {
    warn: (_: object, text: string) => said.push(text),
  });
  const { http, collector, tracing } = await openTraced({ logger });
  collector.status = 400;
  expect((await score(http.url, {})).status).toBe(200);
  await tracing.close();
  expect(said).toEqual(['spans lost']);
  expect(collector.texts).toEqual([]);
});

test('tracing: without it no caller has a span', async () => {
  const { core } = await openStage([linear]);
  const seen: unknown[] = [];
  const watched = Object.assign(Object.create(core) as typeof core, {
    score: (...[request, caller]: Parameters<typeof core.score>) => {
      seen.push(caller?.span);
      return core.score(request, caller);
    },
  });
  const off: Tracing | null = null;
  const http = await startHttp({
    service: watched,
    tracing: off,
    logger: quietLogger,
    registry: new Registry(),
    port: 0,
    connectionsMax: 10,
    requestTimeoutMs: 5_000,
  });
  onTestFinished(() => http.close());
  const answer = await score(http.url, { traceparent: parentOf('a') });
  expect([answer.status, answer.headers.get('traceresponse'), seen]).toEqual([200, null, [undefined]]);
});

test('tracing: whoever is traced keeps what he said of himself', async () => {
  const { core, tracing } = await openTraced();
  const seen: unknown[] = [];
  const watched = Object.assign(Object.create(core) as typeof core, {
    score: (...[request, caller]: Parameters<typeof core.score>) => {
      seen.push(caller?.priority, caller?.span !== undefined);
      return core.score(request, caller);
    },
  });
  const caller = { gone: false, priority: 'low', span: tracing.begin('asked', {}, {}) ?? undefined } as const;
  await tracedService(watched).score({ model: 'ads', items: [{ ad: 'a' }] }, caller);
  caller.span?.end();
  expect(seen).toEqual(['low', true]);
});
