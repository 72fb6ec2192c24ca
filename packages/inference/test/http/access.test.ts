import { createKeyedAccess, createManualClock, hashOfKey, type Role } from '@millrace/runtime';
import { expect, test } from 'vitest';
import { needOf } from '../../src/http/access.ts';
import { rawConnection, refusalFrom } from './raw.ts';
import { type Listening, listen } from './stub-service.ts';

const clock = createManualClock(0);
const keyed = (name: string, role: Role, requestsPerSecond?: number) => ({
  name,
  sha256: hashOfKey(`key-of-${name}`),
  roles: [role],
  ...(requestsPerSecond !== undefined && { requestsPerSecond }),
});
const keys = [keyed('shop', 'score'), keyed('clicks', 'events'), keyed('ops', 'admin')];

const withKeys = (more = keys) => listen({ access: createKeyedAccess(more, clock) });

const bodies: Readonly<Record<string, string>> = {
  'POST /v1/score': '{"items":[{}]}',
  'POST /v1/rank': '{"items":[{}]}',
  'POST /v1/events': '{"requestId":"r"}',
  'PUT /v1/models/demo': '{}',
  'PUT /v1/models/demo/policy': '{"type":"all"}',
  'PUT /v1/models/demo/labels/stable': '{"version":1}',
  'POST /v1/models/demo/experiments': '{}',
  'PUT /v1/models/demo/experiments/button/shares': '{"shares":{"a":0.5}}',
};

function ask(server: Listening, route: string, key: string | null): Promise<Response> {
  const [method, path] = route.split(' ') as [string, string];
  const body = bodies[route];
  const headers = {
    ...(body !== undefined && { 'content-type': 'application/json' }),
    ...(key !== null && { authorization: `Bearer ${key}` }),
  };
  return fetch(server.url + path, { method, headers, ...(body !== undefined && { body }) });
}

/** Route, and what none, a wrong one, and the keys of shop, clicks and ops get. */
const table: readonly [string, number, number, number, number, number][] = [
  ['POST /v1/score', 401, 401, 200, 403, 200],
  ['POST /v1/rank', 401, 401, 200, 403, 200],
  ['GET /v1/models', 401, 401, 200, 403, 200],
  ['GET /v1/models/demo/measures', 401, 401, 200, 403, 200],
  ['GET /v1/status', 401, 401, 200, 403, 200],
  ['POST /v1/events', 401, 401, 403, 200, 200],
  ['GET /v1/events/rejected', 401, 401, 403, 200, 200],
  ['PUT /v1/models/demo', 401, 401, 403, 403, 201],
  ['GET /metrics', 401, 401, 403, 403, 200],
  ['HEAD /metrics', 401, 401, 403, 403, 200],
  ['GET /openapi.json', 401, 401, 200, 200, 200],
  ['GET /', 401, 401, 200, 200, 200],
  ['GET /nowhere', 401, 401, 404, 404, 404],
  ['DELETE /v1/models/demo', 401, 401, 404, 404, 404],
  ['OPTIONS /v1/score', 401, 401, 404, 404, 404],
  ['GET /%zz', 401, 401, 400, 400, 400],
  ['GET /v2', 401, 401, 200, 403, 200],
  ['GET /v2/models/demo', 401, 401, 200, 403, 200],
  ['POST /v2/models/demo/infer', 401, 401, 400, 403, 400],
  ['POST /v2/repository/index', 401, 401, 200, 403, 200],
  ['POST /v2/repository/models/demo/load', 401, 401, 403, 403, 200],
  ['POST /v2/repository/models/demo/unload', 401, 401, 403, 403, 200],
  ['GET /v1/models/demo/versions', 401, 401, 200, 403, 200],
  ['GET /v1/models/demo/versions/1/record', 401, 401, 404, 403, 404],
  ['POST /v1/models/demo/versions', 401, 401, 403, 403, 201],
  ['PUT /v1/models/demo/policy', 401, 401, 403, 403, 200],
  ['POST /v1/models/demo/versions/1/load', 401, 401, 403, 403, 200],
  ['POST /v1/models/demo/versions/1/unload', 401, 401, 403, 403, 200],
  ['DELETE /v1/models/demo/versions/1', 401, 401, 403, 403, 200],
  ['PUT /v1/models/demo/labels/stable', 401, 401, 403, 403, 200],
  ['DELETE /v1/models/demo/labels/stable', 401, 401, 403, 403, 200],
  ['POST /v1/models/demo/labels/stable/rollback', 401, 401, 403, 403, 200],
  ['GET /v1/models/demo/experiments', 401, 401, 200, 403, 200],
  ['GET /v1/models/demo/experiments/button', 401, 401, 200, 403, 200],
  ['POST /v1/models/demo/experiments', 401, 401, 403, 403, 201],
  ['PUT /v1/models/demo/experiments/button/shares', 401, 401, 403, 403, 200],
  ['POST /v1/models/demo/experiments/button/stop', 401, 401, 403, 403, 200],
  ['POST /v1/models/demo/versions/1:predict', 401, 401, 404, 403, 404],
  ['POST /v1/models/demo/labels/stable:predict', 401, 401, 404, 403, 404],
  ['GET /v2/health/ready', 200, 200, 200, 200, 200],
  ['GET /v1/models/demo', 401, 401, 200, 403, 200],
  ['GET /v1/models/demo/metadata', 401, 401, 200, 403, 200],
  ['POST /v1/models/demo:predict', 401, 401, 400, 403, 400],
  ['GET /health/live', 200, 200, 200, 200, 200],
  ['GET /health/ready', 200, 200, 200, 200, 200],
];

test.each(table)('access: %s', async (route, ...wanted) => {
  const server = await withKeys();
  const shown = [null, 'wrong', 'key-of-shop', 'key-of-clicks', 'key-of-ops'];
  const found: number[] = [];
  for (const key of shown) {
    const response = await ask(server, route, key);
    found.push(response.status);
    await response.arrayBuffer();
  }
  expect(found).toEqual(wanted);
});

test('access: every route of the API is in the table above', async () => {
  const server = await listen();
  const { paths } = (await (await fetch(`${server.url}/openapi.json`)).json()) as {
    paths: Record<string, object>;
  };
  const routes = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map(
      (method) =>
        `${method.toUpperCase()} ${path.replace('{name}', 'demo').replace('{version}', '1').replace('{label}', 'stable').replace('{experiment}', 'button')}`,
    ),
  );
  expect(routes.length).toBeGreaterThan(8);
  expect(routes.filter((route) => !table.some(([known]) => known === route))).toEqual([]);
});

/** Routes that want no key. */
const openRoutes = ['/health/live', '/health/ready', '/v2/health/live', '/v2/health/ready'].flatMap(
  (path) => [`GET ${path}`, `HEAD ${path}`],
);

test.each(['plain', 'of page calls'])(
  'access: at every route that the server has (%s), none and a wrong key get 401, a weaker role never a 2xx of admins',
  async (kind) => {
    const corsOrigins = kind === 'plain' ? [] : ['https://shop.example'];
    const server = await listen({ access: createKeyedAccess(keys, clock), corsOrigins });
    const { routes } = server;
    expect(routes).toEqual(expect.arrayContaining(['POST /v2/models/:model/infer', 'POST /v1/models/*']));
    expect(openRoutes.filter((route) => !routes.includes(route))).toEqual([]);
    const found: string[] = [];
    // Browsers show no key when they ask what a page may do; what is no such question gets 400.
    const isAsked = (route: string) => route !== 'OPTIONS *' && !openRoutes.includes(route);
    for (const route of routes.filter(isAsked)) {
      const path = route.replace(/:\w+/g, 'demo').replace(/\*$/, 'demo:predict');
      const statuses: number[] = [];
      for (const key of [null, 'wrong', 'key-of-clicks']) {
        const response = await ask(server, path, key);
        await response.arrayBuffer();
        statuses.push(response.status);
      }
      const [method, pattern] = route.split(' ') as [string, string];
      const isAllowed = ['events', 'any'].includes(needOf(method, pattern));
      if (statuses[0] !== 401 || statuses[1] !== 401 || (statuses[2] === 403) === isAllowed)
        found.push(`${route}: ${statuses}`);
    }
    expect(found).toEqual([]);
    expect(server.service.scored).toEqual([]);
    expect(server.service.created).toEqual([]);
  },
);

test('access: refusals are coded, name the key, and never show it', async () => {
  const server = await withKeys();
  const wrong = await ask(server, 'POST /v1/score', 'a-secret-that-is-wrong');
  expect(wrong.headers.get('www-authenticate')).toBe('Bearer realm="millrace"');
  const unknown = await refusalFrom(wrong);
  expect(unknown.code).toBe('MILL_UNAUTHENTICATED');
  expect(unknown.message).not.toContain('a-secret');
  expect(await refusalFrom(await ask(server, 'GET /metrics', 'key-of-shop'))).toMatchObject({
    code: 'MILL_FORBIDDEN',
    message: 'key "shop": wanted role admin, found score',
    details: { wanted: 'admin', found: ['score'] },
  });
  expect(JSON.stringify(server.log)).not.toMatch(/a-secret|key-of-shop/);
});

test('access: x-api-key does as well', async () => {
  const server = await withKeys();
  const response = await fetch(`${server.url}/v1/status`, { headers: { 'x-api-key': 'key-of-shop' } });
  expect(response.status).toBe(200);
});

test('access: a wrong key is refused before its body comes, and nothing reaches the service', async () => {
  const server = await withKeys();
  const connection = await rawConnection(server.port);
  await connection.write(
    'POST /v1/score HTTP/1.1\r\nhost: x\r\nauthorization: Bearer wrong\r\ncontent-type: application/json\r\ncontent-length: 1000000\r\n\r\n{',
  );
  expect(await connection.until('\r\n\r\n')).toMatch(/^HTTP\/1\.1 401 /);
  expect(server.service.scored).toEqual([]);
});

test('access: over its rate a key gets 429 and how long to wait; others go on', async () => {
  const server = await withKeys([keyed('slow', 'score', 0.25), keyed('shop', 'score')]);
  expect((await ask(server, 'POST /v1/score', 'key-of-slow')).status).toBe(200);
  expect(await refusalFrom(await ask(server, 'POST /v1/score', 'key-of-slow'))).toMatchObject({
    status: 429,
    code: 'MILL_OVERLOADED',
    retryAfter: '4',
  });
  expect((await ask(server, 'POST /v1/score', 'key-of-shop')).status).toBe(200);
});

test.each([
  ['GET', '/v2/health/ready', 'open'],
  ['GET', '/v2/models/:model/ready', 'score'],
  ['POST', '/v2/models/:model/infer', 'score'],
  ['POST', '/v1/models/*', 'score'],
  ['POST', '/v2/repository/index', 'score'],
  ['POST', '/v2/repository/models/:model/unload', 'admin'],
  ['POST', '/health/live', 'score'],
  ['DELETE', '/v1/anything', 'admin'],
  ['PATCH', '/v1/events', 'admin'],
  ['POST', '/v1/eventsful', 'score'],
  ['GET', undefined, 'any'],
] as const)('access: %s %s wants %s', (method, route, need) => {
  expect(needOf(method, route)).toBe(need);
});
