import { MillraceError } from '@millrace/protocol';
import { expect, test } from 'vitest';
import type { Priority } from '../../src/priority.ts';
import { post } from './raw.ts';
import { listen } from './stub-service.ts';

const overloaded = () => new MillraceError('MILL_OVERLOADED', 'cannot score now: requests have waited');

test('http: overload: who is refused learns it before the body is read', async () => {
  const asked: Priority[] = [];
  const refusal = (priority: Priority) => {
    asked.push(priority);
    return priority === 'high' ? null : overloaded();
  };
  const server = await listen({ parts: { refusal } });
  for (const path of ['/v1/score', '/v1/rank', '/v2/models/demo/infer', '/v1/models/demo:predict']) {
    expect(await post(`${server.url}${path}`, 'not even JSON')).toMatchObject({ status: 429 });
  }
  expect(await post(`${server.url}/v1/score`, '{"items":[{}]}')).toMatchObject({
    status: 429,
    code: 'MILL_OVERLOADED',
    retryAfter: '1',
  });
  expect(server.service.scored).toEqual([]);
  const urgent = await fetch(`${server.url}/v1/score`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-request-priority': 'high' },
    body: '{"items":[{}]}',
  });
  expect([urgent.status, server.service.scored.length]).toEqual([200, 1]);
  expect(asked).toEqual([...Array(5).fill('normal'), 'high']);
});

test('http: overload: outcomes, health and status are taken all the same', async () => {
  const server = await listen({ parts: { refusal: overloaded } });
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
