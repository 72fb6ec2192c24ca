import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { freePorts } from '../../src/supervisor/free-ports.ts';

const host = '127.0.0.1';

async function listenOn(port: number): Promise<void> {
  const server = createServer();
  server.listen(port, host);
  await once(server, 'listening');
  onTestFinished(() => void server.close());
}

test('supervisor: ports: the wanted ones when all of them are free', async () => {
  const first = await freePorts({ host, first: 0, count: 3 });
  expect(await freePorts({ host, first, count: 3 })).toBe(first);
});

test('supervisor: ports: others when one of them is taken', async () => {
  const first = await freePorts({ host, first: 0, count: 3 });
  await listenOn(first + 1);
  expect(await freePorts({ host, first, count: 1 })).toBe(first);
  const other = await freePorts({ host, first, count: 2 });
  expect([first, first + 1]).not.toContain(other);
  expect(other).toBeGreaterThanOrEqual(15_000);
  expect(other + 1).toBeLessThan(30_000);
});

test('supervisor: ports: none beyond the last there is', async () => {
  expect(await freePorts({ host, first: 65_535, count: 2 })).toBeLessThan(30_000);
});
