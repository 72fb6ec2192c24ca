/** Thrift over TLS, on real sockets: here, since this is where certificates can be made. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { startInference } from '@millrace/inference';
import {
  createLogger,
  createManualClock,
  createMemoryBus,
  createMetrics,
  createTcpNetwork,
} from '@millrace/runtime';
import { expect, onTestFinished, test } from 'vitest';
import { certifiedFiles } from './certified-files.ts';

/** One that was free a moment ago: 0 means no Thrift. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

test('thrift: tls: a node that ends waits for none that never shook hands', async () => {
  const { ca, cert, key } = await (await certifiedFiles()).identity();
  const port = await freePort();
  const node = await startInference({
    network: createTcpNetwork(),
    bus: createMemoryBus(),
    clock: createManualClock(0),
    logger: createLogger({ service: 'test', level: 'silent' }),
    metrics: createMetrics({ service: 'inference' }),
    cluster: 'demo',
    archive: null,
    engine: 'plain',
    limits: { rowsMax: 10, delayUs: 0, queueRowsMax: 100, lanes: 1 },
    swapEveryMs: 0,
    pullTimeoutMs: 100,
    host: '127.0.0.1',
    port: 0,
    thriftPort: port,
    httpTls: { cert, key },
    connectionsMax: 10,
    requestTimeoutMs: 600_000,
    onFailed: () => {},
  });
  const bare = connect(port, '127.0.0.1');
  bare.on('error', () => {});
  onTestFinished(() => void bare.destroy());
  await once(bare, 'connect');
  // The server has taken the bare one by the time that a later one has shaken hands.
  const served = connectTls({ host: '127.0.0.1', port, ca });
  served.on('error', () => {});
  onTestFinished(() => void served.destroy());
  await once(served, 'secureConnect');
  const gone = Promise.all([once(bare, 'close'), once(served, 'close')]);
  served.resume();
  bare.resume();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(resolve, 5_000, 'late');
  });
  expect(await Promise.race([node.close().then(() => 'ended'), late])).toBe('ended');
  clearTimeout(timer);
  await gone;
});
