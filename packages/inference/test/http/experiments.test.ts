/** Experiments over HTTP: what the routes hand on, and who may. */
import type { ExperimentReport } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { needOf } from '../../src/http/access.ts';
import { listen } from './stub-service.ts';

async function open() {
  const server = await listen();
  const ask = async (path: string, body?: object, method = body ? 'POST' : 'GET') => {
    const init = body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
    const response = await fetch(server.url + path, { method, ...init });
    return [response.status, await response.json()] as const;
  };
  return { ask, calls: server.service.versionCalls };
}

const base = '/v1/models/demo/experiments';

test('experiments: http: they are listed and told of', async () => {
  const { ask } = await open();
  expect(await ask(base)).toMatchObject([200, { experiments: [{ name: 'button', verdict: /Nothing/ }] }]);
  const [status, report] = await ask(`${base}/button`);
  expect([status, (report as ExperimentReport).changes]).toEqual([
    200,
    [{ timeMs: 1, by: 'operator', shares: { a: 0.5 }, reason: 'started' }],
  ]);
});

test('experiments: http: changes are handed on as they are', async () => {
  const { ask, calls } = await open();
  const spec = { name: 'button', key: 'user.user', arms: [{ name: 'a', share: 1 }] };
  expect((await ask(base, spec))[0]).toBe(201);
  expect((await ask(`${base}/button/shares`, { shares: { a: 0.2 }, reason: 'less' }, 'PUT'))[0]).toBe(200);
  expect((await ask(`${base}/button/stop`, { keep: 'a' }))[0]).toBe(200);
  expect(calls).toEqual([
    ['start', 'demo', spec],
    ['setShares', 'demo', 'button', { a: 0.2 }, 'less'],
    ['stop', 'demo', 'button', 'a', undefined],
  ]);
});

test.each([
  ['shares that are none', `${base}/button/shares`, { shares: {} }],
  ['a share beyond all', `${base}/button/shares`, { shares: { a: 1.5 } }],
  ['a name that is none', `${base}/BUTTON/shares`, { shares: { a: 0.5 } }],
])('experiments: http: refuses %s', async (_, path, body) => {
  const { ask, calls } = await open();
  expect(await ask(path, body, 'PUT')).toMatchObject([400, { error: { code: 'MILL_BAD_REQUEST' } }]);
  expect(calls).toEqual([]);
});

test('experiments: http: changes want an admin’s key, a look at them does not', () => {
  const route = '/v1/models/:name/experiments';
  expect(needOf('GET', route)).toBe('score');
  for (const [method, path] of [
    ['POST', route],
    ['PUT', `${route}/:experiment/shares`],
    ['POST', `${route}/:experiment/stop`],
  ])
    expect(needOf(method, path)).toBe('admin');
});
