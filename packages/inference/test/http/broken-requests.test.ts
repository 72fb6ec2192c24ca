import { expect, test } from 'vitest';
import { type RawConnection, rawConnection } from './raw.ts';
import { listen } from './stub-service.ts';

/** Status and code of the last answer on a connection that the server has closed. */
async function refusalOn(connection: RawConnection): Promise<readonly [status: string, code: string]> {
  const text = await connection.rest();
  const body = JSON.parse(text.slice(text.lastIndexOf('\r\n\r\n') + 4)) as { error: { code: string } };
  expect(text.toLowerCase()).toContain('connection: close');
  return [text.slice(0, 12), body.error.code];
}

test('http: bytes that are not HTTP get a coded answer and the connection is closed', async () => {
  const server = await listen();
  const connection = await rawConnection(server.port);
  await connection.write('\x00\x01\x02 hello\r\n\r\n');
  expect(await refusalOn(connection)).toEqual(['HTTP/1.1 400', 'MILL_BAD_REQUEST']);
});

test('http: headers over 16 KiB get a coded answer', async () => {
  const server = await listen();
  const connection = await rawConnection(server.port);
  await connection.write(`GET / HTTP/1.1\r\nhost: x\r\nx-long: ${'x'.repeat(20_000)}\r\n\r\n`);
  expect(await refusalOn(connection)).toEqual(['HTTP/1.1 400', 'MILL_BAD_REQUEST']);
});

test('http: a broken chunk in a body gets a coded answer', async () => {
  const server = await listen();
  const connection = await rawConnection(server.port);
  await connection.write(
    'POST /v1/score HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n',
  );
  expect(await refusalOn(connection)).toEqual(['HTTP/1.1 400', 'MILL_BAD_REQUEST']);
});

test('http: a request that does not arrive in time gets MILL_TIMEOUT', async () => {
  const server = await listen({ requestTimeoutMs: 50 });
  const connection = await rawConnection(server.port);
  await connection.write(
    'POST /v1/score HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{',
  );
  expect(await refusalOn(connection)).toEqual(['HTTP/1.1 504', 'MILL_TIMEOUT']);
});

test('http: a request refused before its end gets no second answer', async () => {
  const server = await listen();
  const connection = await rawConnection(server.port);
  await connection.write(
    'POST /v1/score HTTP/1.1\r\nhost: x\r\ncontent-type: text/csv\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n',
  );
  expect(await connection.until('"retry":"never"')).toContain('content-type');
  await connection.write('zz\r\n');
  expect(await connection.rest()).not.toContain('HTTP/1.1');
});

test('http: whoever hangs up half-way leaves the server as it was', async () => {
  const server = await listen();
  const connection = await rawConnection(server.port);
  await connection.write(
    'POST /v1/score HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{',
  );
  connection.socket.resetAndDestroy();
  expect((await fetch(`${server.url}/health/live`)).status).toBe(200);
  expect(server.log.filter(({ level }) => level !== 'info')).toEqual([]);
});
