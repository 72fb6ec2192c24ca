/** Starting, killing and restarting a real nats-server, and what is said when it cannot start. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawnNatsServer } from '@millrace/runtime';
import { freePort, startNatsServer } from '@millrace/testkit';
import { connect } from 'nats';
import { afterEach, beforeEach, expect, test } from 'vitest';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mill-test-'));
});

afterEach(() => rm(directory, { recursive: true, force: true }));

test('nats process: a test server answers on its port, and takes its directory along when it stops', async () => {
  const server = await startNatsServer();
  const connection = await connect({ servers: server.url });
  expect(connection.info).toMatchObject({ port: server.port, jetstream: true, max_payload: 8 * 1024 * 1024 });
  await connection.close();
  await server.stop();
  await server.stop();
  await expect(connect({ servers: server.url, maxReconnectAttempts: 0 })).rejects.toThrow();
});

test('nats process: a directory of the caller’s stays, and holds the streams of the next start', async () => {
  const first = await startNatsServer({ dataDirectory: directory });
  const connection = await connect({ servers: first.url });
  await (await connection.jetstreamManager()).streams.add({ name: 'KEPT', subjects: ['kept'] });
  await connection.close();
  await first.stop();
  expect(existsSync(join(directory, 'jetstream'))).toBe(true);
  const second = await startNatsServer({ dataDirectory: directory, port: first.port });
  const again = await connect({ servers: second.url });
  expect((await (await again.jetstreamManager()).streams.info('KEPT')).config.name).toBe('KEPT');
  await again.close();
  await second.stop();
});

test('nats process: restart gives another process at the same address, killed or not', async () => {
  const server = await startNatsServer();
  const pids = [server.pid];
  await server.restart();
  pids.push(server.pid);
  await server.kill();
  await server.restart();
  pids.push(server.pid);
  expect(new Set(pids).size).toBe(3);
  const connection = await connect({ servers: server.url });
  await connection.close();
  await server.stop();
});

test('nats process: a binary that is not there is said so', async () => {
  const binary = join(directory, 'nats-server');
  const starting = spawnNatsServer({
    binary,
    dataDirectory: directory,
    host: '127.0.0.1',
    port: await freePort(),
  });
  await expect(starting).rejects.toMatchObject({ code: 'MILL_NATS_SERVER_MISSING' });
});

test('nats process: a port that is taken is said so, and a foreign server there is not taken for ours', async () => {
  const foreign = await startNatsServer();
  const second = startNatsServer({ dataDirectory: directory, port: foreign.port });
  await expect(second).rejects.toMatchObject({ code: 'MILL_LOG_UNAVAILABLE' });
  await expect(second).rejects.toThrow(/address already in use/);
  await foreign.stop();
});

test('nats process: a server that never answers is given up and ended', async () => {
  const binary = join(directory, 'silent-server');
  await writeFile(binary, '#!/bin/sh\nexec sleep 60\n', { mode: 0o755 });
  const port = await freePort();
  const starting = spawnNatsServer({
    binary,
    dataDirectory: directory,
    host: '127.0.0.1',
    port,
    readyMsMax: 200,
  });
  await expect(starting).rejects.toThrow(/no answer within 200 ms/);
});

test('test port: is free, and below those that systems give to outgoing connections', async () => {
  const port = await freePort();
  expect(port).toBeGreaterThanOrEqual(15_000);
  expect(port).toBeLessThan(30_000);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  await new Promise((resolve) => server.close(resolve));
});
