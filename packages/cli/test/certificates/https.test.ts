/** HTTPS from client to node, on real sockets: here, since this is where certificates can be made. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { type HttpFace, type ScoringService, startHttp } from '@millrace/inference';
import { createLogger, createMetrics } from '@millrace/runtime';
import { createMillraceClient } from '@millrace/sdk';
import { expect, onTestFinished, test } from 'vitest';
import { certifiedFiles } from './certified-files.ts';

async function open(limits: { readonly connectionsMax?: number; readonly requestTimeoutMs?: number } = {}) {
  const { ca, cert, key } = await (await certifiedFiles()).identity();
  const service = { ready: true, models: () => [] } as unknown as ScoringService;
  const face = await startHttp({
    service,
    logger: createLogger({ service: 'test', level: 'silent' }),
    registry: createMetrics({ service: 'test' }).registry,
    port: 0,
    connectionsMax: 10,
    requestTimeoutMs: 5_000,
    tls: { cert, key },
    ...limits,
  });
  onTestFinished(() => face.close());
  return { face, ca, port: Number(new URL(face.url).port) };
}

async function secureSocket({ port, ca }: { readonly port: number; readonly ca: string }) {
  const socket = connectTls({ host: '127.0.0.1', port, ca });
  socket.on('error', () => {});
  onTestFinished(() => void socket.destroy());
  await once(socket, 'secureConnect');
  let said = '';
  socket.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const ask = async () => {
    said = '';
    socket.write('GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n');
    while (!said.includes('}')) await once(socket, 'data');
    return said;
  };
  return { socket, ask };
}

/** Whether the node ends within two seconds. */
function endsSoon(face: HttpFace): Promise<boolean> {
  return new Promise((resolve) => {
    const late = setTimeout(() => resolve(false), 2_000);
    void face.close().then(() => {
      clearTimeout(late);
      resolve(true);
    });
  });
}

test('https: a client that trusts the authority is served; one that does not is told why', async () => {
  const { face, ca } = await open();
  expect(face.url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
  const client = createMillraceClient({ url: face.url, ca });
  onTestFinished(() => client.close());
  expect(await client.models()).toEqual([]);
  const stranger = createMillraceClient({ url: face.url, retries: 0 });
  onTestFinished(() => stranger.close());
  await expect(stranger.models()).rejects.toMatchObject({
    code: 'MILL_UNREACHABLE',
    message: expect.stringMatching(/certificate/),
  });
  const plain = createMillraceClient({ url: face.url.replace('https', 'http'), retries: 0 });
  onTestFinished(() => plain.close());
  await expect(plain.models()).rejects.toMatchObject({ code: 'MILL_UNREACHABLE' });
});

test('https: connections are counted as without TLS', async () => {
  const opened = await open({ connectionsMax: 1 });
  const first = await secureSocket(opened);
  expect(await first.ask()).toMatch(/^HTTP\/1\.1 200 /);
  const second = await secureSocket(opened);
  expect(await second.ask()).toMatch(/^HTTP\/1\.1 429 /);
  first.socket.destroy();
  await expect.poll(() => second.ask()).toMatch(/^HTTP\/1\.1 200 /);
});

test('https: close: lets a kept connection end, and waits for none that never asked or never shook hands', async () => {
  const opened = await open({ requestTimeoutMs: 600_000 });
  const used = await secureSocket(opened);
  await used.ask();
  const unused = await secureSocket(opened);
  const bare = connect(opened.port, '127.0.0.1');
  bare.on('error', () => {});
  onTestFinished(() => void bare.destroy());
  await once(bare, 'connect');
  // The server has taken the bare one by the time that a later one is answered.
  await (await secureSocket(opened)).ask();
  const gone = Promise.all([once(used.socket, 'close'), once(unused.socket, 'close'), once(bare, 'close')]);
  expect(await endsSoon(opened.face)).toBe(true);
  await gone;
});

test('https: close: a request under way gets its answer', async () => {
  const opened = await open();
  const { socket } = await secureSocket(opened);
  const later = await secureSocket(opened);
  socket.write(
    'POST /v1/score HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{',
  );
  await later.ask();
  const answered = once(socket, 'data');
  const closed = opened.face.close();
  socket.write('}');
  expect(String((await answered)[0])).toMatch(/^HTTP\/1\.1 400 /);
  await closed;
});
