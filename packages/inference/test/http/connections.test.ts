import { once } from 'node:events';
import { expect, test } from 'vitest';
import { rawConnection } from './raw.ts';
import { listen } from './stub-service.ts';

const ask = 'GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n';

test('http: a connection over the limit is told so, and served once another has closed', async () => {
  const server = await listen({ connectionsMax: 1 });
  const first = await rawConnection(server.port);
  await first.write(ask);
  await first.until('{"live":true}');
  const second = await rawConnection(server.port);
  await second.write(ask);
  const refusal = await second.until('"retry":"backoff"');
  expect(refusal).toContain('HTTP/1.1 429');
  expect(refusal).toContain('"MILL_OVERLOADED"');
  expect(refusal.toLowerCase()).toContain('retry-after: 1');
  first.socket.end();
  await once(first.socket, 'close');
  for (;;) {
    await second.write(ask);
    const answer = await second.until('\r\n\r\n');
    await second.until('}');
    if (answer.includes('HTTP/1.1 200')) break;
  }
});

test('http: far over the limit connections are dropped', async () => {
  const server = await listen({ connectionsMax: 1 });
  const taken = [];
  for (let index = 0; index < 65; index += 1) taken.push(await rawConnection(server.port));
  const dropped = await rawConnection(server.port);
  expect(await dropped.rest()).toBe('');
  expect(taken.filter(({ socket }) => socket.destroyed)).toEqual([]);
});

test('http: close: does not wait for a connection that never asked anything', async () => {
  const server = await listen({ requestTimeoutMs: 600_000 });
  const unused = await rawConnection(server.port);
  // An answer on a later connection: the server has taken the first one by now.
  await fetch(`${server.url}/health/live`);
  await server.close();
  expect(await unused.rest()).toBe('');
});
