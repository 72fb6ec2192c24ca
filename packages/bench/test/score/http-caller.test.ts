import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { createHttpCaller, requestBytes } from '../../src/score/http-caller.ts';

/** A server that ends the first connection instead of answering on it. */
async function openServer(): Promise<URL> {
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    const isFirst = connections === 1;
    socket.on('data', () => {
      if (isFirst) socket.destroy();
      else socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}');
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/score`);
}

test('bench: score: what waits for the only connection is sent on another when that one ends', async () => {
  const url = await openServer();
  const caller = createHttpCaller(url, 1);
  onTestFinished(() => caller.close());
  const request = requestBytes(url, '{}');
  const answers = Array.from(
    { length: 3 },
    () => new Promise<number>((resolve) => caller.send(request, resolve)),
  );
  expect(await Promise.all(answers)).toEqual([0, 200, 200]);
});

test('bench: score: connections that were opened before are used, and one that cannot be is opened when it is needed', async () => {
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}'));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const url = new URL(`http://127.0.0.1:${port}/score`);
  const caller = createHttpCaller(url, 8);
  await caller.open();
  const ask = () =>
    new Promise<number>((resolve) => caller.send(requestBytes(url, '{}'), (status) => resolve(status)));
  expect(await Promise.all(Array.from({ length: 20 }, ask))).toEqual(new Array(20).fill(200));
  expect(connections).toBe(8);
  caller.close();
  server.close();
  await once(server, 'close');

  const late = createHttpCaller(url, 2);
  onTestFinished(() => late.close());
  await late.open();
  const again = createServer((socket) => {
    socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}'));
  }).listen(port, '127.0.0.1');
  onTestFinished(() => void again.close());
  await once(again, 'listening');
  expect(await new Promise((resolve) => late.send(requestBytes(url, '{}'), resolve))).toBe(200);
});
