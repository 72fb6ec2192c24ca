import { MillraceError } from '@millrace/protocol';
import { expect, test } from 'vitest';
import type { Priority } from '../../src/priority.ts';
import { post } from './raw.ts';
import { listen } from './stub-service.ts';

test('http: overload: who is refused learns it before the body is read', async () => {
  const asked: Priority[] = [];
  const overdue = (priority: Priority) => {
    asked.push(priority);
    return priority === 'high' ? null : 100;
  };
  const server = await listen({ parts: { overdue } });
  for (const path of ['/v1/score', '/v1/rank']) {
    expect(await post(`${server.url}${path}`, 'not even JSON')).toMatchObject({
      status: 429,
      code: 'MILL_OVERLOADED',
      retryAfter: '1',
      details: { retryAfterMs: 100 },
    });
  }
  for (const path of ['/v2/models/demo/infer', '/v1/models/demo:predict']) {
    const response = await fetch(`${server.url}${path}`, { method: 'POST', body: 'x'.repeat(200_000) });
    expect([response.status, await response.json()]).toEqual([
      429,
      { error: 'MILL_OVERLOADED: cannot score now: too many requests wait already' },
    ]);
  }
  expect(server.service.scored).toEqual([]);
  const urgent = await score(server.url, { 'x-request-priority': 'high' });
  expect([urgent.status, server.service.scored.length]).toEqual([200, 1]);
  expect(asked).toEqual([...Array(4).fill('normal'), 'high']);
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  expect(metrics).toContain('millrace_http_requests_total{route="/v1/score",status="429"} 1');
});

test('http: overload: who may not ask is told that, not that others wait', async () => {
  const refused = new MillraceError('MILL_UNAUTHENTICATED', 'no key');
  const access = { authorize: () => ({ kind: 'refused', name: null, error: refused }) as const };
  const server = await listen({ access, parts: { overdue: () => 1_000 } });
  expect((await score(server.url)).status).toBe(401);
});

async function score(url: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${url}/v1/score`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: '{"items":[{}]}',
  });
}

test('http: overload: outcomes, health and status are taken all the same', async () => {
  const server = await listen({ parts: { overdue: () => 1_000 } });
  const events = await fetch(`${server.url}/v1/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"requestId":"r"}',
  });
  expect(events.status).toBe(200);
  expect((await fetch(`${server.url}/health/ready`)).status).toBe(200);
});

test('http: a priority that does not exist is named', async () => {
  const server = await listen();
  const response = await fetch(`${server.url}/v1/score`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-request-priority': 'urgent' },
    body: '{"items":[{}]}',
  });
  expect([response.status, await response.json()]).toMatchObject([
    400,
    {
      error: {
        code: 'MILL_BAD_REQUEST',
        message: 'header x-request-priority: wanted one of high, normal, low, found "urgent"',
      },
    },
  ]);
});
