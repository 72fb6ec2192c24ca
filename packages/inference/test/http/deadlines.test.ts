import { createManualClock } from '@millrace/runtime';
import { expect, test } from 'vitest';
import { timeoutMsFrom } from '../../src/http/deadlines.ts';
import type { Caller } from '../../src/scoring-service.ts';
import { rawConnection, refusalFrom } from './raw.ts';
import { answerTo, gate, listen } from './stub-service.ts';

test.each<[Record<string, string>, number | null]>([
  [{}, null],
  [{ 'x-request-timeout-ms': '50' }, 50],
  [{ 'x-request-timeout-ms': '0' }, 0],
  [{ 'x-request-timeout-ms': '999999999' }, 600_000],
  [{ 'grpc-timeout': '50m' }, 50],
  [{ 'grpc-timeout': '2S' }, 2_000],
  [{ 'grpc-timeout': '1M' }, 60_000],
  [{ 'grpc-timeout': '1H' }, 600_000],
  [{ 'grpc-timeout': '2500u' }, 2.5],
  [{ 'grpc-timeout': '1500000n' }, 1.5],
  [{ 'x-request-timeout-ms': '7', 'grpc-timeout': '1S' }, 7],
])('deadlines: %j is %d ms', (headers, timeoutMs) => {
  expect(timeoutMsFrom(headers)).toBe(timeoutMs);
});

test.each([
  { 'x-request-timeout-ms': '-1' },
  { 'x-request-timeout-ms': '1.5' },
  { 'x-request-timeout-ms': '' },
  { 'x-request-timeout-ms': '1e3' },
  { 'x-request-timeout-ms': '9999999999' },
  { 'grpc-timeout': '5' },
  { 'grpc-timeout': '123456789m' },
  { 'grpc-timeout': '1x' },
])('deadlines: %j is refused', async (headers) => {
  const server = await listen();
  const refusal = await refusalFrom(await fetch(`${server.url}/v1/models`, { headers }));
  expect(refusal).toMatchObject({ status: 400, code: 'MILL_BAD_REQUEST' });
  expect(refusal.message).toContain(`header ${Object.keys(headers)[0]}: wanted`);
});

const headersOf = (timeout: string) => ({
  'content-type': 'application/json',
  'x-request-timeout-ms': timeout,
});

test('deadlines: when the time is up the caller is told, and those who work for it see that it has gone', async () => {
  const clock = createManualClock(0);
  const [asked, held] = [gate(), gate()];
  let caller: Caller | undefined;
  const server = await listen({
    clock,
    parts: {
      async score(request, whose) {
        caller = whose;
        asked.open();
        await held.opened;
        return answerTo(request);
      },
    },
  });
  const answer = fetch(`${server.url}/v1/score`, {
    method: 'POST',
    headers: headersOf('50'),
    body: '{"items":[{}]}',
  });
  await asked.opened;
  clock.advanceBy(49);
  expect([caller?.gone, clock.timersWaiting]).toEqual([false, 1]);
  clock.advanceBy(1);
  expect(caller?.gone).toBe(true);
  expect(await refusalFrom(await answer)).toMatchObject({
    status: 504,
    code: 'MILL_TIMEOUT',
    message: 'no answer within the 50 ms that the request gives',
  });
  // What comes too late does no harm.
  held.open();
  const next = await fetch(`${server.url}/v1/score`, {
    method: 'POST',
    headers: headersOf('50'),
    body: '{"items":[{}]}',
  });
  expect(next.status).toBe(200);
  await next.arrayBuffer();
  await expect.poll(() => clock.timersWaiting).toBe(0);
  expect(server.log.filter(({ level }) => level !== 'info')).toEqual([]);
});

test('deadlines: a request without any time left is not even read', async () => {
  const server = await listen();
  const options = { method: 'POST', headers: headersOf('0'), body: '{"items":[{}]}' };
  expect(await refusalFrom(await fetch(`${server.url}/v1/score`, options))).toMatchObject({
    code: 'MILL_TIMEOUT',
  });
  expect(server.service.scored).toEqual([]);
});

test('deadlines: the time is up while the body still comes: told once, and the connection lives on', async () => {
  const clock = createManualClock(0);
  const server = await listen({ clock });
  const connection = await rawConnection(server.port);
  const body = '{"items":[{}]}';
  await connection.write(
    `POST /v1/score HTTP/1.1\r\nhost: x\r\nx-request-timeout-ms: 50\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n{`,
  );
  await expect.poll(() => clock.timersWaiting).toBe(1);
  clock.advanceBy(50);
  expect(await connection.until('"retry":"backoff"}}')).toMatch(/^HTTP\/1\.1 504 /);
  await connection.write(`${body.slice(1)}GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n`);
  expect(await connection.until('{"live":true}')).toMatch(/^HTTP\/1\.1 200 /);
  expect(server.service.scored).toEqual([]);
});
