import { createMillraceClient, type MillraceClient } from '@millrace/sdk';
import { expect, onTestFinished, test } from 'vitest';
import type { Caller } from '../../src/scoring-service.ts';
import { rawConnection } from './raw.ts';
import { answerTo, demoListing, gate, type Listening, listen } from './stub-service.ts';

function clientOf(server: Listening): MillraceClient {
  const client = createMillraceClient({ url: server.url });
  onTestFinished(() => client.close());
  return client;
}

test('http: score: passes the request on as it came and the answer back', async () => {
  const server = await listen();
  const request = {
    model: 'demo',
    requestId: 'a.B_1:-',
    user: { user: 'u1', age: 31, vip: true, city: null },
    context: { history: ['a', 2, 'c'] },
    items: [{ item: 1 }, {}, { item: 'c', price: -0.5 }],
    log: false,
  };
  const { scores, ...answer } = await clientOf(server).score(request);
  const expected = answerTo(request);
  expect({ ...answer, scores: scores.map(Math.fround) }).toEqual({
    ...expected,
    scores: expected.scores.map(Math.fround),
  });
  expect(server.service.scored).toEqual([request]);
});

test('http: score: takes the limits themselves', async () => {
  const server = await listen();
  const request = {
    items: Array.from({ length: 2_000 }, (_, index) => (index === 0 ? { tags: Array(1_000).fill('x') } : {})),
    context: {
      text: 'é'.repeat(1_024),
      largest: Number.MAX_SAFE_INTEGER,
      smallest: -Number.MAX_SAFE_INTEGER,
    },
  };
  expect((await clientOf(server).score(request)).scores).toHaveLength(2_000);
});

test('http: events: takes one outcome and an array of them', async () => {
  const server = await listen();
  const client = clientOf(server);
  expect(await client.sendOutcomes({ requestId: 'r1' })).toEqual({ accepted: 1 });
  const response = await fetch(`${server.url}/v1/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/json; charset=utf-8' },
    body: '{"requestId":"r2","index":1999,"value":0}',
  });
  expect(await response.json()).toEqual({ accepted: 1 });
  const outcomes = [
    { requestId: 'r3', item: 17 },
    { requestId: 'r4', item: 'x', model: 'demo' },
  ];
  expect(await client.sendOutcomes(outcomes)).toEqual({ accepted: 2 });
  expect(server.service.outcomes).toEqual([
    { requestId: 'r1' },
    { requestId: 'r2', index: 1999, value: 0 },
    ...outcomes,
  ]);
});

test('http: models: lists, creates once, and answers 201 only the first time', async () => {
  const server = await listen();
  const client = clientOf(server);
  expect(await client.models()).toEqual([demoListing]);
  const file = {
    name: 'other',
    label: 'y',
    tables: [],
    fields: [],
    net: 'linear',
    loss: 'logloss',
    seed: 1,
  } as const;
  expect(await client.createModel(file)).toEqual({ created: true, model: { ...demoListing, name: 'other' } });
  const again = await fetch(`${server.url}/v1/models/other`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(file),
  });
  expect(again.status).toBe(200);
  expect(server.service.created).toEqual([
    { name: 'other', file },
    { name: 'other', file },
  ]);
});

test('http: status and rejected outcomes come back as the service gives them', async () => {
  const server = await listen();
  const client = clientOf(server);
  expect(await client.status()).toEqual(server.service.status());
  expect(await client.rejectedOutcomes('demo')).toEqual(server.service.rejectedOutcomes('demo'));
  expect((await client.rejectedOutcomes())[0]?.model).toBe('any');
});

test('http: status: what a newer service adds is passed on', async () => {
  const server = await listen();
  const status = { ...server.service.status(), novelty: { deep: [1] } };
  server.service.status = () => status;
  expect(await clientOf(server).status()).toEqual(status);
});

test('http: health: live at once, ready when the service is', async () => {
  const server = await listen();
  const client = clientOf(server);
  server.service.ready = false;
  expect((await fetch(`${server.url}/health/live`)).status).toBe(200);
  const refused = await fetch(`${server.url}/health/ready`);
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1']);
  expect(await refused.json()).toMatchObject({ error: { code: 'MILL_NOT_READY', retry: 'backoff' } });
  expect(await client.ready()).toBe(false);
  server.service.ready = true;
  await client.waitUntilReady({ timeoutMs: 5_000 });
  expect(await client.ready()).toBe(true);
});

test('http: the start page points to the description', async () => {
  const server = await listen();
  const response = await fetch(server.url);
  expect(response.headers.get('content-type')).toContain('text/plain');
  expect(await response.text()).toContain('/openapi.json');
});

test('http: metrics: counts by route pattern and status, unknown paths together', async () => {
  const server = await listen();
  const client = clientOf(server);
  await client.score({ items: [{}] });
  await client.score({ items: [{}] });
  await client.score({ items: [] }).catch(() => undefined);
  await fetch(`${server.url}/no/such/a`);
  await fetch(`${server.url}/no/such/b`);
  const response = await fetch(`${server.url}/metrics`);
  expect(response.headers.get('content-type')).toContain('text/plain');
  const text = await response.text();
  expect(text).toContain('millrace_http_requests_total{route="/v1/score",status="200"} 2');
  expect(text).toContain('millrace_http_requests_total{route="/v1/score",status="400"} 1');
  expect(text).toContain('millrace_http_requests_total{route="unknown",status="404"} 2');
  expect(text).toContain('millrace_http_request_duration_seconds_count{route="/v1/score",status="200"} 2');
});

test.each([
  ['hung up', 60_000, 'left'],
  ['been told that its time is up', 50, 'stays'],
] as const)('http: score: knows that its caller has %s', async (_what, requestTimeoutMs, caller) => {
  const entered = gate();
  const release = gate();
  const seen: (Caller | undefined)[] = [];
  const server = await listen({
    requestTimeoutMs,
    parts: {
      async score(request, asking) {
        seen.push(asking);
        entered.open();
        await release.opened;
        return answerTo(request);
      },
    },
  });
  const body = JSON.stringify({ items: [{}] });
  const head = `POST /v1/score HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}`;
  const connection = await rawConnection(server.port);
  await connection.write(`${head}\r\n\r\n${body}`);
  await entered.opened;
  if (caller === 'left') {
    expect(seen[0]?.gone).toBe(false);
    connection.socket.destroy();
  } else await connection.until('MILL_TIMEOUT');
  await expect.poll(() => seen[0]?.gone).toBe(true);
  release.open();
});

test('http: close: running requests finish, idle connections end, later ones are refused', async () => {
  const entered = gate();
  const release = gate();
  const server = await listen({
    parts: {
      async score(request) {
        entered.open();
        await release.opened;
        return answerTo(request);
      },
    },
  });
  const client = clientOf(server);
  await client.models();
  const running = client.score({ items: [{}] });
  await entered.opened;
  const closed = server.close();
  release.open();
  expect((await running).scores).toEqual([0.5]);
  await closed;
  await expect(client.models()).rejects.toMatchObject({ code: 'MILL_UNREACHABLE' });
  // A second close is the same one.
  await server.close();
});

test('http: close: cuts a connection whose request never arrives in full', async () => {
  const server = await listen({ requestTimeoutMs: 50 });
  const connection = await rawConnection(server.port);
  // Both travel together, so whoever has the answer to the first knows that the second has begun.
  const whole = 'GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n';
  const part =
    'POST /v1/score HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n{';
  await connection.write(whole + part);
  await connection.until('{"live":true}');
  await server.close();
  await connection.rest();
});

test('http: close: it is no longer ready, says so on open connections, and ends them', async () => {
  const [asked, held] = [gate(), gate()];
  const server = await listen({
    parts: {
      async score(request) {
        asked.open();
        await held.opened;
        return answerTo(request);
      },
    },
  });
  const probe = 'GET /health/ready HTTP/1.1\r\nhost: x\r\n\r\n';
  const connection = await rawConnection(server.port);
  await connection.write(probe);
  expect(await connection.until('{"ready":true}')).toMatch(/^HTTP\/1\.1 200 /);
  // A probe that has begun before the drain and ends in it; idle connections are closed at once.
  await connection.write(probe.slice(0, -2));
  const running = fetch(`${server.url}/v1/score`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"items":[{}]}',
  });
  await asked.opened;
  const closed = server.close();
  await connection.write('\r\n');
  const told = await connection.until('"retry":"backoff"}}');
  expect(told).toMatch(/^HTTP\/1\.1 503 .*connection: close.*MILL_CLOSED/s);
  expect(await connection.rest()).toBe('');
  held.open();
  expect((await running).status).toBe(200);
  await closed;
});
