/** The network without TLS; with it, in packages/cli/test/certificates. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import type { Wire, WireEvents } from '../src/network.ts';
import { createTcpNetwork } from '../src/tcp-network.ts';

const network = createTcpNetwork();

interface Heard extends WireEvents {
  readonly bytes: number[];
  readonly closed: Promise<string | null>;
  /** Resolves once so many bytes have come. */
  until(count: number): Promise<void>;
}

/** Reads into a room of `roomBytes`. */
function listener(roomBytes: number): Heard {
  const room = new Uint8Array(roomBytes);
  const bytes: number[] = [];
  let wake = () => {};
  let tell: (reason: string | null) => void = () => {};
  const closed = new Promise<string | null>((resolve) => {
    tell = resolve;
  });
  return {
    bytes,
    closed,
    room: () => room,
    onFilled(count) {
      bytes.push(...room.subarray(0, count));
      wake();
    },
    onClosed: (reason) => tell(reason),
    async until(count) {
      while (bytes.length < count) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}

/** Both ends of a connection. */
async function openPair(roomBytes = 1_000) {
  const server = listener(roomBytes);
  let accepted: Wire | null = null;
  const listening = await network.listen({
    host: '127.0.0.1',
    port: 0,
    connectionsMax: 4,
    onConnection(wire) {
      accepted = wire;
      return server;
    },
    onRefused: () => new Uint8Array(0),
    onFailed: (error) => expect.fail(error.message),
  });
  const client = listener(roomBytes);
  const wire = network.connect({ host: '127.0.0.1', port: listening.port }, client);
  onTestFinished(async () => {
    wire.destroy();
    accepted?.destroy();
    await listening.close();
  });
  wire.write(Uint8Array.of(0));
  await server.until(1);
  return { wire, client, server, far: accepted as unknown as Wire, listening };
}

test('tcp network: bytes come in order, whatever the room', async () => {
  const { wire, client, server, far } = await openPair(7);
  const sent = Array.from({ length: 1_000 }, (_, i) => i % 251);
  wire.write(Uint8Array.from(sent));
  far.write(Uint8Array.from(sent));
  await Promise.all([server.until(1_001), client.until(1_000)]);
  expect([server.bytes, client.bytes]).toEqual([[0, ...sent], sent]);
  expect(wire.peer).toMatch(/^127\.0\.0\.1:\d+$/);
});

test('tcp network: what is written is told once it is handed over, and counts until then', async () => {
  const { wire, server } = await openPair();
  wire.cork();
  const sent = new Promise<void>((resolve) => wire.write(Uint8Array.of(1, 2, 3), resolve));
  wire.write(Uint8Array.of(4));
  expect(wire.unsentBytes).toBe(4);
  wire.uncork();
  await sent;
  await server.until(5);
  expect(server.bytes).toEqual([0, 1, 2, 3, 4]);
  expect(wire.unsentBytes).toBe(0);
});

test('tcp network: an end is orderly, after what was queued, and bytes behind it are dropped', async () => {
  const { wire, client, server, far } = await openPair();
  wire.write(Uint8Array.of(1));
  far.end(Uint8Array.of(9));
  expect([await client.closed, await server.closed]).toEqual([null, null]);
  expect([client.bytes, server.bytes]).toEqual([[9], [0]]);
});

test('tcp network: paused, nothing is read', async () => {
  const { wire, client, far } = await openPair();
  wire.pause();
  const sent = new Promise<void>((resolve) => far.write(Uint8Array.of(5), resolve));
  await sent;
  // A whole round trip on another connection, so the byte has come as far as it may.
  await openPair();
  expect(client.bytes).toEqual([]);
  wire.resume();
  await client.until(1);
  expect(client.bytes).toEqual([5]);
});

test('tcp network: nobody there is a reason, told later than the call', async () => {
  const { listening, wire, far } = await openPair();
  wire.destroy();
  far.destroy();
  await listening.close();
  const events = listener(10);
  const late = network.connect({ host: '127.0.0.1', port: listening.port }, events);
  late.write(Uint8Array.of(1));
  expect(await events.closed).toMatch(/ECONNREFUSED/);
});

test('tcp network: a peer that resets is a reason on the other side', async () => {
  const server = listener(10);
  const listening = await network.listen({
    host: '127.0.0.1',
    port: 0,
    connectionsMax: 4,
    onConnection: () => server,
    onRefused: () => new Uint8Array(0),
    onFailed: (error) => expect.fail(error.message),
  });
  onTestFinished(() => listening.close());
  const socket = connect({ host: '127.0.0.1', port: listening.port });
  await once(socket, 'connect');
  socket.write('x');
  await server.until(1);
  socket.resetAndDestroy();
  expect(await server.closed).toMatch(/ECONNRESET/);
});
