/** What a client of several nodes does when one of them refuses, hangs, dies in the middle of an answer, or comes back. */
import { type ErrorCode, MillraceError } from '@millrace/protocol';
import { expect, onTestFinished, test } from 'vitest';
import { createMillraceClient, isMillraceError, type MillraceClientOptions } from '../src/index.ts';
import { good, hangsUp, refused, type Step, scriptedServer, silent } from './scripted-server.ts';

const answerOf = (requestId: string) => ({
  requestId,
  model: 'demo',
  version: 3,
  scores: [0.25],
  stalenessMs: null,
  degraded: false,
  engine: 'wasm',
});
const first = good(answerOf('of the first'));
const second = good(answerOf('of the second'));
const request = { items: [{}], log: false };

/** A client whose first choice is the first URL and whose waits pass at once, written down. */
function clientOf(url: readonly string[], options: Partial<MillraceClientOptions> = {}) {
  const waitsMs: number[] = [];
  const sleep = async (delayMs: number): Promise<void> => {
    waitsMs.push(delayMs);
  };
  const client = createMillraceClient({ url, random: () => 0, sleep, ...options });
  onTestFinished(() => client.close());
  return { client, waitsMs };
}

/** Two servers and a client of both, which asks the first one first. */
async function pairOf(a: readonly Step[], b: readonly Step[], options: Partial<MillraceClientOptions> = {}) {
  const servers = [await scriptedServer(...a), await scriptedServer(...b)] as const;
  const asked = () => servers.map((server) => server.asked.length);
  return { servers, asked, ...clientOf([servers[0].url, servers[1].url], options) };
}

const codeOf = (call: Promise<unknown>): Promise<ErrorCode | 'none' | 'other'> =>
  call.then(
    () => 'none',
    (error: unknown) => (isMillraceError(error) ? error.code : 'other'),
  );

const dyingInTheMiddle: Step = (response) => {
  response.writeHead(200, { 'content-length': '100' });
  response.write('{"models":', () => response.socket?.destroy());
};

const failures: readonly (readonly [name: string, step: Step])[] = [
  ['that hangs up', hangsUp],
  ['that dies in the middle of its answer', dyingInTheMiddle],
  ['that is shutting down', refused('MILL_CLOSED')],
  ['that is not ready', refused('MILL_NOT_READY')],
  ['that has no log', refused('MILL_LOG_UNAVAILABLE', { retryAfter: '1' })],
  ['that is overloaded', refused('MILL_OVERLOADED', { retryAfter: '1' })],
  ['whose proxy answers 503', (response) => response.writeHead(503).end('<html>')],
];

test.each(failures)('sdk: several nodes: a node %s is passed over at once', async (_name, step) => {
  const { client, asked } = await pairOf([step], [second], { failoverMs: 60_000, timeoutMs: 100_000 });
  expect(await client.score(request)).toEqual(answerOf('of the second'));
  expect(asked()[1]).toBe(1);
});

test('sdk: several nodes: a node that is gone is passed over at once', async () => {
  const { client, servers } = await pairOf([first], [second], { failoverMs: 60_000, timeoutMs: 100_000 });
  await servers[0].close();
  expect(await client.score(request)).toEqual(answerOf('of the second'));
});

test('sdk: several nodes: a silent node is not waited for longer than failoverMs', async () => {
  const { client, waitsMs } = await pairOf([silent], [second], { failoverMs: 30, timeoutMs: 60_000 });
  expect(await client.score(request)).toEqual(answerOf('of the second'));
  expect(waitsMs).toEqual([]);
});

test('sdk: several nodes: one that is silent in the middle of its answer counts as silent', async () => {
  const halfway: Step = (response) => {
    response.writeHead(200).write('{"scores":');
  };
  const { client } = await pairOf([halfway], [second], { failoverMs: 30 });
  expect(await client.score(request)).toEqual(answerOf('of the second'));
});

test('sdk: several nodes: a slow answer still counts when it comes first', async () => {
  let answer = (): void => {};
  const slow: Step = (response, asked) => {
    answer = () => first(response, asked);
  };
  const { client, asked } = await pairOf([slow], [silent], { failoverMs: 20 });
  const call = client.score(request);
  await expect.poll(() => asked()[1]).toBe(1);
  answer();
  expect(await call).toEqual(answerOf('of the first'));
});

test('sdk: several nodes: each gets its turn within a time shorter than failoverMs', async () => {
  const { client } = await pairOf([silent], [second], { failoverMs: 60_000, timeoutMs: 2_000 });
  expect(await client.score(request)).toEqual(answerOf('of the second'));
});

test('sdk: several nodes: the exchange with the slower one ends once the other has answered', async () => {
  let closed = false;
  const watched: Step = (response) => {
    response.on('close', () => {
      closed = true;
    });
  };
  const { client } = await pairOf([watched], [second], { failoverMs: 200 });
  await client.score(request);
  await expect.poll(() => closed).toBe(true);
});

test('sdk: several nodes: calls go on to the node that answered last', async () => {
  const { client, asked, servers } = await pairOf([hangsUp, first], [second], { retries: 0 });
  await client.score(request);
  await client.score(request);
  expect(asked()).toEqual([1, 2]);
  await servers[1].close();
  expect(await client.score(request)).toEqual(answerOf('of the first'));
  await client.score(request);
  expect(asked()).toEqual([3, 2]);
});

test('sdk: several nodes: the first choice is spread over clients', async () => {
  const servers = [await scriptedServer(first), await scriptedServer(second)];
  const urls = servers.map(({ url }) => url);
  await clientOf(urls, { random: () => 0.6 }).client.score(request);
  expect(servers.map(({ asked }) => asked.length)).toEqual([0, 1]);
});

test('sdk: several nodes: a request that is wrong is wrong everywhere', async () => {
  const { client, asked, waitsMs } = await pairOf([refused('MILL_MODEL_UNKNOWN')], [second]);
  expect(await codeOf(client.score(request))).toBe('MILL_MODEL_UNKNOWN');
  expect([asked(), waitsMs]).toEqual([[1, 0], []]);
});

test('sdk: several nodes: all failing are asked again after a wait, each as often as one alone would be', async () => {
  const { client, asked } = await pairOf([refused('MILL_NOT_READY')], [refused('MILL_CLOSED')], {
    sleep: () => new Promise((resolve) => setTimeout(resolve, 1)),
    retries: 2,
  });
  expect(['MILL_NOT_READY', 'MILL_CLOSED']).toContain(await codeOf(client.score(request)));
  expect(asked()).toEqual([3, 3]);
});

test('sdk: several nodes: one that is back after a wait mends the call', async () => {
  const { client } = await pairOf([refused('MILL_NOT_READY'), first], [silent], { failoverMs: 60_000 });
  expect(await client.score(request)).toEqual(answerOf('of the first'));
});

test('sdk: several nodes: all silent gives MILL_TIMEOUT within the time of the call', async () => {
  const { client, asked } = await pairOf([silent], [silent], { failoverMs: 50, timeoutMs: 500 });
  expect(await codeOf(client.score(request))).toBe('MILL_TIMEOUT');
  expect(asked()).toEqual([1, 1]);
});

test('sdk: several nodes: a score without an id gets one, the same at every node', async () => {
  const { client, servers } = await pairOf([hangsUp], [second], { newRequestId: () => 'made' });
  await client.score({ items: [{ item: 'a' }] });
  const sent = { items: [{ item: 'a' }], requestId: 'made' };
  expect(servers.map(({ asked }) => asked[0]?.body)).toEqual([sent, sent]);
});

test('sdk: several nodes: an id of the caller’s and a score that logs nothing are sent as they are', async () => {
  const { client, servers } = await pairOf([first], [second], { newRequestId: () => 'made' });
  await client.score({ items: [{}], requestId: 'mine' });
  await client.score({ items: [{}], log: false });
  expect(servers[0].asked.map(({ body }) => body)).toEqual([
    { items: [{}], requestId: 'mine' },
    { items: [{}], log: false },
  ]);
});

test('sdk: several nodes: outcomes go on to the next node', async () => {
  const stored = good({ accepted: 1 });
  const { client, asked } = await pairOf([refused('MILL_LOG_UNAVAILABLE')], [stored]);
  expect(await client.sendOutcomes({ requestId: 'r1' })).toEqual({ accepted: 1 });
  expect(asked()[1]).toBe(1);
});

test('sdk: several nodes: ready when any of them is, and none is asked twice for it', async () => {
  const notReady = refused('MILL_NOT_READY');
  const one = await pairOf([notReady], [good({ ready: true })]);
  expect(await one.client.ready()).toBe(true);
  const none = await pairOf([notReady], [notReady]);
  expect(await none.client.ready()).toBe(false);
  expect([none.asked(), none.waitsMs]).toEqual([[1, 1], []]);
});

test('sdk: several nodes: waitUntilReady gets past a silent one', async () => {
  const { client } = await pairOf([silent], [good({ ready: true })], { failoverMs: 20 });
  await client.waitUntilReady({ timeoutMs: 10_000 });
});

test('sdk: several nodes: close waits for the running call and ends it nowhere twice', async () => {
  let answer = (): void => {};
  const slow: Step = (response, asked) => {
    answer = () => second(response, asked);
  };
  const { client, asked } = await pairOf([silent], [slow], { failoverMs: 20 });
  const running = client.score(request);
  await expect.poll(() => asked()[1]).toBe(1);
  const closed = client.close();
  answer();
  expect(await running).toEqual(answerOf('of the second'));
  await closed;
  expect(await codeOf(client.score(request))).toBe('MILL_CLOSED');
});

test('sdk: several nodes: no address at all is refused, the same one twice counts once', async () => {
  expect(() => createMillraceClient({ url: [] })).toThrow(MillraceError);
  const server = await scriptedServer(refused('MILL_NOT_READY'));
  const { client } = clientOf([server.url, server.url], { retries: 0 });
  await codeOf(client.score(request));
  expect(server.asked).toHaveLength(1);
});
