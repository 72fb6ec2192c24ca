import { once } from 'node:events';
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { openTcpDoor } from '../src/tcp-door.ts';

/** A server that answers each chunk with the same in capitals, a door to it, and a connection through the door. */
async function stage() {
  const peers = new Set<Socket>();
  const server = createServer((socket) => {
    peers.add(socket);
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => socket.write(chunk.toString().toUpperCase()));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const door = await openTcpDoor((server.address() as AddressInfo).port);
  onTestFinished(async () => {
    await door.close();
    for (const peer of peers) peer.destroy();
    server.close();
  });
  const connect = () => {
    const socket = createConnection({ host: '127.0.0.1', port: door.port });
    let heard = '';
    let closed = false;
    socket.on('data', (chunk) => {
      heard += chunk.toString();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      closed = true;
    });
    onTestFinished(() => void socket.destroy());
    return { socket, heard: () => heard, closed: () => closed };
  };
  return { door, connect, peers };
}

test('tcp door: open: lets both directions through', async () => {
  const { connect } = await stage();
  const one = connect();
  one.socket.write('a');
  await expect.poll(one.heard).toBe('A');
});

test('tcp door: silent: nothing passes and nobody is told; what waited comes once it is open', async () => {
  const { door, connect, peers } = await stage();
  const before = connect();
  before.socket.write('a');
  await expect.poll(before.heard).toBe('A');
  door.shut('silent');
  const during = connect();
  before.socket.write('b');
  during.socket.write('c');
  await once(during.socket, 'connect');
  expect([peers.size, before.heard(), before.closed(), during.closed()]).toEqual([1, 'A', false, false]);
  door.open();
  await expect.poll(before.heard).toBe('AB');
  await expect.poll(during.heard).toBe('C');
});

test('tcp door: silent: that the other side has gone is heard once it is open', async () => {
  const { door, connect, peers } = await stage();
  const one = connect();
  one.socket.write('a');
  await expect.poll(one.heard).toBe('A');
  door.shut('silent');
  for (const peer of peers) peer.destroy();
  const other = connect();
  await once(other.socket, 'connect');
  expect(one.closed()).toBe(false);
  door.open();
  await expect.poll(one.closed).toBe(true);
});

test('tcp door: refusing: connections break, new ones too, until it is open', async () => {
  const { door, connect } = await stage();
  const one = connect();
  one.socket.write('a');
  await expect.poll(one.heard).toBe('A');
  door.shut('refusing');
  await expect.poll(one.closed).toBe(true);
  const refused = connect();
  await expect.poll(refused.closed).toBe(true);
  door.open();
  const again = connect();
  again.socket.write('b');
  await expect.poll(again.heard).toBe('B');
});
