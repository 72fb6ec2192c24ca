import { bodyBytesMax } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { post, rawConnection } from './raw.ts';
import { listen } from './stub-service.ts';

/** Tens of megabytes, on a machine that may be busy. */
const slow = { timeout: 60_000 };
const refused = `HTTP/1.1 413`;
const tenMegabytes = 10 * 1024 * 1024;
const head = (length: string): string =>
  `POST /v1/score HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n${length}\r\n\r\n`;

test('http: a 10 MB body is answered MILL_BODY_TOO_LARGE through an ordinary client', slow, async () => {
  const server = await listen();
  const body = `{"items":["${'x'.repeat(tenMegabytes)}"]}`;
  expect(await post(`${server.url}/v1/score`, body)).toMatchObject({
    status: 413,
    code: 'MILL_BODY_TOO_LARGE',
    message: `body: wanted at most ${bodyBytesMax} bytes, found ${body.length}`,
  });
});

test('http: a body of exactly the limit is read', slow, async () => {
  const server = await listen();
  const fixed = '{"items":[{}],"log":true}';
  const body = `{"items":[{}],${' '.repeat(bodyBytesMax - fixed.length)}"log":true}`;
  const request = { method: 'POST', headers: { 'content-type': 'application/json' }, body };
  expect((await fetch(`${server.url}/v1/score`, request)).status).toBe(200);
});

test(
  'http: the answer comes before the body has been sent, and the connection stays usable',
  slow,
  async () => {
    const server = await listen();
    const connection = await rawConnection(server.port);
    await connection.write(head(`content-length: ${tenMegabytes}`));
    expect(await connection.until('"MILL_BODY_TOO_LARGE"')).toContain(refused);
    await connection.write(new Uint8Array(tenMegabytes));
    await connection.write('GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n');
    expect(await connection.until('{"live":true}')).toContain('HTTP/1.1 200');
  },
);

test(
  'http: a caller that wants no further request hears the answer too, and is closed behind its body',
  slow,
  async () => {
    const server = await listen();
    const connection = await rawConnection(server.port);
    await connection.write(head(`connection: close\r\ncontent-length: ${tenMegabytes}`));
    expect(await connection.until('"MILL_BODY_TOO_LARGE"')).toContain(refused);
    await connection.write(new Uint8Array(tenMegabytes));
    await connection.rest();
    expect(connection.socket.errored).toBeNull();
  },
);

test('http: a chunked body is refused at the limit, not at its end', slow, async () => {
  const server = await listen();
  const connection = await rawConnection(server.port);
  const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`;
  await connection.write(head('transfer-encoding: chunked'));
  for (let sent = 0; sent <= bodyBytesMax; sent += 0x10000) await connection.write(chunk);
  expect(await connection.until('"MILL_BODY_TOO_LARGE"')).toContain(refused);
  await connection.write(`${chunk}0\r\n\r\nGET /health/live HTTP/1.1\r\nhost: x\r\n\r\n`);
  expect(await connection.until('{"live":true}')).toContain('HTTP/1.1 200');
});

test('http: a body without end is cut in the end', slow, async () => {
  const server = await listen();
  const connection = await rawConnection(server.port);
  const chunk = Buffer.from(`100000\r\n${'x'.repeat(0x100000)}\r\n`);
  await connection.write(head('transfer-encoding: chunked'));
  let sentBytes = 0;
  const endless = async (): Promise<void> => {
    for (;;) {
      await connection.write(chunk);
      sentBytes += chunk.length;
    }
  };
  await expect(endless()).rejects.toThrow();
  expect(sentBytes).toBeGreaterThan(16 * bodyBytesMax);
  expect(sentBytes).toBeLessThan(32 * bodyBytesMax);
});

test('http: an unread body of another kind is thrown away too', slow, async () => {
  const server = await listen();
  const body = 'x'.repeat(tenMegabytes);
  const refusal = await post(`${server.url}/v1/score`, body, { 'content-type': 'text/csv' });
  expect(refusal).toMatchObject({ status: 400, code: 'MILL_BAD_REQUEST' });
  expect(await post(`${server.url}/nowhere`, body)).toMatchObject({ code: 'MILL_BODY_TOO_LARGE' });
});
