import { createKeyedAccess, createManualClock, hashOfKey } from '@millrace/runtime';
import { expect, test } from 'vitest';
import { listen } from './stub-service.ts';

const page = 'https://shop.example';
const preflight = { origin: page, 'access-control-request-method': 'POST' };
const keys = [{ name: 'shop', sha256: hashOfKey('key-of-shop'), roles: ['score'] as const }];

test('cors: off: nothing allows a page of another origin anything', async () => {
  const server = await listen();
  for (const [method, path] of [
    ['OPTIONS', '/v1/score'],
    ['GET', '/v1/models'],
  ]) {
    const response = await fetch(server.url + path, { method, headers: preflight });
    expect([...response.headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([]);
  }
});

test('cors: a named origin may call, with its key; its preflight needs none', async () => {
  const access = createKeyedAccess(keys, createManualClock(0));
  const server = await listen({ access, corsOrigins: [page] });
  const asked = await fetch(`${server.url}/v1/score`, { method: 'OPTIONS', headers: preflight });
  expect([asked.status, asked.headers.get('access-control-allow-origin')]).toEqual([204, page]);
  expect(asked.headers.get('access-control-allow-headers')).toContain('authorization');
  expect(asked.headers.get('access-control-allow-headers')).toContain('traceparent');
  expect(asked.headers.get('access-control-allow-methods')).toBe('GET, POST, PUT, DELETE');
  const refused = await fetch(`${server.url}/v1/models`, { headers: { origin: page } });
  // The page may read why.
  expect([refused.status, refused.headers.get('access-control-allow-origin')]).toEqual([401, page]);
  const headers = { origin: page, authorization: 'Bearer key-of-shop' };
  expect((await fetch(`${server.url}/v1/models`, { headers })).status).toBe(200);
});

test('cors: another origin is not allowed; with * all are', async () => {
  const server = await listen({ corsOrigins: [page] });
  const other = { ...preflight, origin: 'https://evil.example' };
  const asked = await fetch(`${server.url}/v1/score`, { method: 'OPTIONS', headers: other });
  expect(asked.headers.get('access-control-allow-origin')).not.toBe('https://evil.example');
  expect(asked.headers.get('access-control-allow-origin')).not.toBe('*');
  const open = await listen({ corsOrigins: ['*'] });
  const answer = await fetch(`${open.url}/v1/models`, { headers: other });
  expect(answer.headers.get('access-control-allow-origin')).toBe('*');
});
