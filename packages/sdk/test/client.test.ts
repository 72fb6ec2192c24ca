import type { ErrorCode } from '@millrace/protocol';
import { expect, onTestFinished, test } from 'vitest';
import {
  createMillraceClient,
  isMillraceError,
  type MillraceClient,
  type MillraceClientOptions,
} from '../src/index.ts';
import { good, hangsUp, refused, scriptedServer, silent } from './scripted-server.ts';

const scored = {
  requestId: 'r1',
  model: 'demo',
  version: 3,
  scores: [0.25],
  stalenessMs: null,
  degraded: false,
  engine: 'wasm',
};

/** A client whose waits pass at once and are written down, with the middle of the jitter. */
function clientOf(
  url: string,
  options: Partial<MillraceClientOptions> = {},
): { client: MillraceClient; waitsMs: number[] } {
  const waitsMs: number[] = [];
  const sleep = async (delayMs: number): Promise<void> => {
    waitsMs.push(delayMs);
  };
  const client = createMillraceClient({ url, random: () => 0.5, sleep, ...options });
  onTestFinished(() => client.close());
  return { client, waitsMs };
}

const codeOf = (call: Promise<unknown>): Promise<ErrorCode | 'none' | 'other'> =>
  call.then(
    () => 'none',
    (error: unknown) => (isMillraceError(error) ? error.code : 'other'),
  );

test('sdk: score: posts the request as JSON and gives the answer', async () => {
  const server = await scriptedServer(good(scored));
  const { client } = clientOf(server.url);
  const request = { model: 'demo', items: [{ item: 'ä' }] };
  expect(await client.score(request)).toEqual(scored);
  expect(server.asked).toMatchObject([
    { method: 'POST', path: '/v1/score', body: request, headers: { 'content-type': 'application/json' } },
  ]);
});

const ranked = {
  ...scored,
  scores: undefined,
  ranking: [{ index: 1, score: 0.25, propensity: 0.5 }],
  policy: 'softmax',
};

test('sdk: rank: posts the request and gives the order; sent again only with an id', async () => {
  const server = await scriptedServer(
    good(ranked),
    refused('MILL_OVERLOADED'),
    good(ranked),
    refused('MILL_OVERLOADED'),
  );
  const { client } = clientOf(server.url);
  const request = {
    items: [{ item: 'a' }, { item: 'b' }],
    exploration: { type: 'softmax' },
    count: 1,
  } as const;
  expect(await client.rank(request)).toMatchObject({
    ranking: [{ index: 1, propensity: 0.5 }],
    policy: 'softmax',
  });
  expect(server.asked).toMatchObject([{ method: 'POST', path: '/v1/rank', body: request }]);
  expect(await codeOf(client.rank({ ...request, requestId: 'r1' }))).toBe('none');
  expect(await codeOf(client.rank(request))).toBe('MILL_OVERLOADED');
  expect(server.asked).toHaveLength(4);
  expect(await codeOf(client.rank({ items: [{ price: Number.NaN }] }))).toBe('MILL_BAD_REQUEST');
});

test('sdk: keeps its connection', async () => {
  const server = await scriptedServer(good(scored));
  const { client } = clientOf(server.url);
  for (let index = 0; index < 5; index += 1) await client.score({ items: [{}] });
  expect(server.connections()).toBe(1);
});

test('sdk: connectionsMax bounds the connections of concurrent calls', async () => {
  const server = await scriptedServer(good(scored));
  const { client } = clientOf(server.url, { connectionsMax: 2 });
  await Promise.all(Array.from({ length: 10 }, () => client.score({ items: [{}] })));
  expect(server.asked).toHaveLength(10);
  expect(server.connections()).toBe(2);
});

test('sdk: a path in the URL comes before every route', async () => {
  const server = await scriptedServer(good({ models: [] }));
  const { client } = clientOf(`${server.url}/mill/`);
  await client.models();
  expect(server.asked[0]?.path).toBe('/mill/v1/models');
});

test('sdk: an error keeps the server’s code, message and details', async () => {
  const server = await scriptedServer(refused('MILL_MODEL_UNKNOWN', { details: { model: 'x' } }));
  const { client, waitsMs } = clientOf(server.url);
  await expect(client.score({ items: [{}], log: false })).rejects.toMatchObject({
    name: 'MillraceError',
    code: 'MILL_MODEL_UNKNOWN',
    message: 'said MILL_MODEL_UNKNOWN',
    details: { model: 'x' },
  });
  // Its table entry says that sending it again does not help.
  expect([server.asked.length, waitsMs]).toEqual([1, []]);
});

test('sdk: retry: a score that logs nothing is sent again, each wait twice the last', async () => {
  const server = await scriptedServer(
    refused('MILL_SHARD_UNAVAILABLE'),
    refused('MILL_OVERLOADED'),
    good(scored),
  );
  const { client, waitsMs } = clientOf(server.url);
  expect(await client.score({ items: [{}], log: false })).toEqual(scored);
  expect(waitsMs).toEqual([37.5, 75]);
});

test('sdk: retry: a score with a request id is sent again, one without is not', async () => {
  const first = await scriptedServer(refused('MILL_OVERLOADED'), good(scored));
  expect(await codeOf(clientOf(first.url).client.score({ items: [{}], requestId: 'r1' }))).toBe('none');
  const second = await scriptedServer(refused('MILL_OVERLOADED'), good(scored));
  expect(await codeOf(clientOf(second.url).client.score({ items: [{}] }))).toBe('MILL_OVERLOADED');
  expect([first.asked.length, second.asked.length]).toEqual([2, 1]);
});

test('sdk: retry: is bounded, and gives the last error', async () => {
  const server = await scriptedServer(
    refused('MILL_OVERLOADED'),
    refused('MILL_NOT_READY'),
    refused('MILL_LOG_UNAVAILABLE'),
  );
  const { client } = clientOf(server.url, { retries: 2 });
  expect(await codeOf(client.sendOutcomes({ requestId: 'r1' }))).toBe('MILL_LOG_UNAVAILABLE');
  expect(server.asked).toHaveLength(3);
});

test('sdk: retry: waits at least as long as Retry-After says', async () => {
  const server = await scriptedServer(refused('MILL_OVERLOADED', { retryAfter: '2' }), good({ accepted: 1 }));
  const { client, waitsMs } = clientOf(server.url);
  await client.sendOutcomes({ requestId: 'r1' });
  expect(waitsMs).toEqual([2_037.5]);
});

test('sdk: retry: details that tell a time go before Retry-After, which knows whole seconds', async () => {
  const server = await scriptedServer(
    refused('MILL_OVERLOADED', { retryAfter: '2', details: { retryAfterMs: 100 } }),
    good({ accepted: 1 }),
  );
  const { client, waitsMs } = clientOf(server.url);
  await client.sendOutcomes({ requestId: 'r1' });
  expect(waitsMs).toEqual([137.5]);
});

test('sdk: retry: gives the error at once when the wait would outlast the call', async () => {
  const server = await scriptedServer(refused('MILL_OVERLOADED', { retryAfter: '6' }), good({ accepted: 1 }));
  const { client, waitsMs } = clientOf(server.url, { timeoutMs: 5_000 });
  expect(await codeOf(client.sendOutcomes({ requestId: 'r1' }))).toBe('MILL_OVERLOADED');
  expect(waitsMs).toEqual([]);
});

test('sdk: retry: a connection that breaks before the answer', async () => {
  const server = await scriptedServer(hangsUp, good({ accepted: 1 }));
  expect(await clientOf(server.url).client.sendOutcomes({ requestId: 'r1' })).toEqual({ accepted: 1 });
  const once = await scriptedServer(hangsUp, good(scored));
  expect(await codeOf(clientOf(once.url).client.score({ items: [{}] }))).toBe('MILL_UNREACHABLE');
  expect(once.asked).toHaveLength(1);
});

test('sdk: timeout: no answer gives MILL_TIMEOUT, and no second sending once the time is up', async () => {
  const server = await scriptedServer(silent);
  // Long enough for the request to be there on a busy machine.
  const { client } = clientOf(server.url, { timeoutMs: 300 });
  await expect(client.score({ items: [{}], log: false })).rejects.toMatchObject({
    code: 'MILL_TIMEOUT',
    message: expect.stringMatching(/^POST \/v1\/score: no answer within [0-9.]+ ms$/),
  });
  expect(server.asked).toHaveLength(1);
});

test('sdk: timeout: counts until the last byte', async () => {
  const server = await scriptedServer((response) => {
    response.writeHead(200).write('{"models":');
  });
  expect(await codeOf(clientOf(server.url, { timeoutMs: 30 }).client.models())).toBe('MILL_TIMEOUT');
});

test('sdk: server gone: MILL_UNREACHABLE after the retries; answers again when it is back', async () => {
  const server = await scriptedServer(good(scored));
  const { client, waitsMs } = clientOf(server.url);
  await client.score({ items: [{}] });
  await server.close();
  expect(await codeOf(client.score({ items: [{}], log: false }))).toBe('MILL_UNREACHABLE');
  expect(waitsMs).toHaveLength(2);
  expect(await client.ready()).toBe(false);
});

test('sdk: an answer that breaks off is MILL_UNREACHABLE', async () => {
  const server = await scriptedServer((response) => {
    response.writeHead(200, { 'content-length': '100' });
    response.write('{"models":', () => response.socket?.destroy());
  });
  expect(await codeOf(clientOf(server.url, { retries: 0 }).client.models())).toBe('MILL_UNREACHABLE');
});

const foreignAnswers: readonly (readonly [status: number, text: string, code: ErrorCode])[] = [
  [502, '<html>Bad Gateway</html>', 'MILL_UNREACHABLE'],
  [404, 'not found', 'MILL_BAD_REQUEST'],
  [429, '{"error":"slow down"}', 'MILL_OVERLOADED'],
  [500, '', 'MILL_INTERNAL'],
  [200, 'hello', 'MILL_INTERNAL'],
  [301, '{}', 'MILL_INTERNAL'],
  [503, '{"error":{"code":"MILL_OF_THE_FUTURE","message":"m","retry":"backoff"}}', 'MILL_UNREACHABLE'],
  [409, '{"error":{"code":"toString","message":"m","retry":"never"}}', 'MILL_BAD_REQUEST'],
];

test.each(foreignAnswers)('sdk: HTTP %i with %j gives %s', async (status, text, code) => {
  const server = await scriptedServer((response) => {
    response.writeHead(status).end(text);
  });
  expect(await codeOf(clientOf(server.url, { retries: 0 }).client.models())).toBe(code);
});

test('sdk: an answer beyond 16 MiB is not read to its end', async () => {
  const server = await scriptedServer((response) => {
    response.writeHead(200);
    const chunk = Buffer.alloc(1024 * 1024, ' ');
    const more = (): void => {
      while (!response.destroyed && response.write(chunk));
    };
    response.on('drain', more);
    more();
  });
  expect(await codeOf(clientOf(server.url).client.models())).toBe('MILL_BODY_TOO_LARGE');
});

test('sdk: outcomes: splits what one post cannot carry, in order', async () => {
  const server = await scriptedServer((response, { body }) => {
    response.writeHead(200).end(JSON.stringify({ accepted: (body as readonly unknown[]).length }));
  });
  const { client } = clientOf(server.url);
  const outcomes = Array.from({ length: 25_000 }, (_, index) => ({ requestId: `r${index}` }));
  expect(await client.sendOutcomes(outcomes)).toEqual({ accepted: 25_000 });
  expect(server.asked.flatMap(({ body }) => body)).toEqual(outcomes);
  expect(server.asked.length).toBe(3);
});

test('sdk: outcomes: says how many are stored when a later post fails', async () => {
  const server = await scriptedServer(
    good({ accepted: 10_000 }),
    refused('MILL_MODEL_UNKNOWN', { details: { a: 1 } }),
  );
  const { client } = clientOf(server.url);
  const outcomes = Array.from({ length: 10_001 + 9_999 }, () => ({ requestId: 'r' }));
  await expect(client.sendOutcomes(outcomes)).rejects.toMatchObject({
    code: 'MILL_MODEL_UNKNOWN',
    details: { a: 1, accepted: 10_000 },
  });
});

test('sdk: outcomes: none sends nothing', async () => {
  const server = await scriptedServer(good({ accepted: 0 }));
  expect(await clientOf(server.url).client.sendOutcomes([])).toEqual({ accepted: 0 });
  expect(server.asked).toEqual([]);
});

test('sdk: score: refuses numbers that JSON would turn into null, before sending', async () => {
  const server = await scriptedServer(good(scored));
  const { client } = clientOf(server.url);
  const messageOf = (call: Promise<unknown>) => call.then(String, (error: Error) => error.message);
  expect(await messageOf(client.score({ items: [{}, { price: Number.NaN }] }))).toBe(
    'items[1].price: wanted finite numbers, found one that is not',
  );
  expect(await messageOf(client.score({ items: [{}], user: { past: [1, -Infinity] } }))).toContain(
    'user.past',
  );
  expect(await messageOf(client.score({ items: [{}], context: { hour: Infinity } }))).toContain(
    'context.hour',
  );
  expect(server.asked).toEqual([]);
});

test('sdk: models: puts the file under its name', async () => {
  const answer = {
    created: true,
    model: { name: 'm', partitions: 4, engine: 'wasm', version: 0, ready: true },
  };
  const server = await scriptedServer(good(answer));
  const file = {
    name: 'm',
    label: 'y',
    tables: [],
    fields: [],
    net: 'linear',
    loss: 'logloss',
    seed: 1,
  } as const;
  expect(await clientOf(server.url).client.createModel(file)).toEqual(answer);
  expect(server.asked).toMatchObject([{ method: 'PUT', path: '/v1/models/m', body: file }]);
});

test('sdk: waitUntilReady: asks until the node is ready', async () => {
  const server = await scriptedServer(
    refused('MILL_NOT_READY'),
    refused('MILL_NOT_READY'),
    good({ ready: true }),
  );
  const { client, waitsMs } = clientOf(server.url);
  await client.waitUntilReady();
  expect(waitsMs).toEqual([100, 100]);
});

test('sdk: waitUntilReady: gives up with MILL_TIMEOUT', async () => {
  const server = await scriptedServer(refused('MILL_NOT_READY'));
  let nowMs = 0;
  const sleep = async (delayMs: number): Promise<void> => {
    nowMs += delayMs;
  };
  const { client } = clientOf(server.url, { now: () => nowMs, sleep });
  await expect(client.waitUntilReady({ timeoutMs: 450 })).rejects.toMatchObject({ code: 'MILL_TIMEOUT' });
  expect(server.asked).toHaveLength(5);
});

test('sdk: close: lets a running call finish and refuses later ones', async () => {
  let answer = (): void => {};
  const server = await scriptedServer((response) => {
    answer = () => good(scored)(response, { method: '', path: '', headers: {}, body: undefined });
  });
  const { client } = clientOf(server.url);
  const running = client.score({ items: [{}] });
  await expect.poll(() => server.asked.length).toBe(1);
  const closed = client.close();
  expect(await codeOf(client.score({ items: [{}] }))).toBe('MILL_CLOSED');
  answer();
  expect(await running).toEqual(scored);
  await closed;
});

test('sdk: refuses a URL that it cannot use', () => {
  for (const url of ['', 'localhost:80', 'ftp://x', '/v1']) {
    expect(() => createMillraceClient({ url })).toThrow(
      expect.objectContaining({ code: 'MILL_CONFIG_INVALID' }),
    );
  }
});

test('sdk: api key: goes with every call, and no error quotes it', async () => {
  const server = await scriptedServer(refused('MILL_UNAUTHENTICATED'), refused('MILL_FORBIDDEN'), good({}));
  const { client, waitsMs } = clientOf(server.url, { apiKey: 'the-secret' });
  expect(await codeOf(client.score({ items: [{}], log: false }))).toBe('MILL_UNAUTHENTICATED');
  expect(await codeOf(client.status())).toBe('MILL_FORBIDDEN');
  await client.ready();
  // Neither is sent again: waiting would not help.
  expect(waitsMs).toEqual([]);
  expect(server.asked.map(({ headers }) => headers.authorization)).toEqual(
    Array(3).fill('Bearer the-secret'),
  );
  for (const apiKey of ['', 'a b', 'a\r\nhost: x', 'ä']) {
    const make = () => createMillraceClient({ url: server.url, apiKey });
    expect(make).toThrow(expect.objectContaining({ code: 'MILL_CONFIG_INVALID' }));
    expect(make).not.toThrow(/host: x/);
  }
});

test('sdk: versions: reads have the time of every call; loading is not what they wait for', async () => {
  const server = await scriptedServer(silent, silent);
  const { client } = clientOf(server.url, { timeoutMs: 100 });
  expect(await codeOf(client.versions.list('demo'))).toBe('MILL_TIMEOUT');
  expect(await codeOf(client.versions.record('demo', 1))).toBe('MILL_TIMEOUT');
});
