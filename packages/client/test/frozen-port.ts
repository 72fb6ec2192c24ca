/** A way to a real shard that can freeze: bytes go in and nothing comes back, as with a process that is stopped. */
import { connect, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

export interface FrozenPort {
  readonly port: number;
  freeze(): void;
  /** Lets everything through that has come meanwhile. */
  thaw(): void;
  /** Ends every connection. */
  drop(): void;
}

export async function openFrozenPort(target: number): Promise<FrozenPort> {
  const sockets = new Set<Socket>();
  const callers = new Set<Socket>();
  let frozen = false;
  const server = createServer({ noDelay: true }, (caller) => {
    const shard = connect({ port: target, host: '127.0.0.1', noDelay: true });
    callers.add(caller);
    for (const [from, to] of [
      [caller, shard],
      [shard, caller],
    ]) {
      sockets.add(from);
      from.on('data', (bytes) => to.write(bytes));
      from.on('error', () => {});
      from.on('close', () => to.destroy());
    }
    if (frozen) caller.pause();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  const drop = () => {
    for (const socket of sockets) socket.destroy();
  };
  onTestFinished(async () => {
    drop();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });
  return {
    port: address.port,
    freeze() {
      frozen = true;
      for (const caller of callers) caller.pause();
    },
    thaw() {
      frozen = false;
      for (const caller of callers) caller.resume();
    },
    drop,
  };
}
