import { createKeyedAccess, createManualClock, hashOfKey } from '@millrace/runtime';
import { expect, test } from 'vitest';
import { listen } from './stub-service.ts';

const access = createKeyedAccess(
  [{ name: 'shop', sha256: hashOfKey('key-of-shop'), roles: ['score'] }],
  createManualClock(0),
);

test('access log: one line a request, with key name, route and ids, and nothing that a caller wrote', async () => {
  const server = await listen({ access, accessLog: true });
  const headers = { 'content-type': 'application/json', authorization: 'Bearer key-of-shop' };
  const body = JSON.stringify({ requestId: 'r-17', user: { user: 'private-user' }, items: [{}] });
  await (await fetch(`${server.url}/v1/score`, { method: 'POST', headers, body })).text();
  await (await fetch(`${server.url}/v1/models/private-name/measures?private=1`, { headers })).text();
  await (
    await fetch(`${server.url}/private-path`, { headers: { authorization: 'Bearer private-key' } })
  ).text();
  const lines = () => server.log.filter(({ message }) => message === 'request answered');
  await expect.poll(() => lines().length).toBe(3);
  const [scored, refused, unknown] = lines().map(({ fields }) => fields);
  expect(scored).toEqual({
    method: 'POST',
    route: '/v1/score',
    status: 200,
    durationMs: expect.any(Number),
    key: 'shop',
    bytesIn: body.length,
    bytesOut: expect.any(Number),
    requestId: 'r-17',
  });
  expect(refused).toMatchObject({
    route: '/v1/models/:name/measures',
    status: 400,
    key: 'shop',
    requestId: null,
  });
  expect(unknown).toMatchObject({ method: 'GET', route: null, status: 401, key: null });
  expect(JSON.stringify(lines())).not.toMatch(/private|key-of/);
});

test('access log: off: no line', async () => {
  const server = await listen();
  await (await fetch(`${server.url}/v1/models`)).text();
  await server.close();
  expect(server.log.filter(({ message }) => message === 'request answered')).toEqual([]);
});
