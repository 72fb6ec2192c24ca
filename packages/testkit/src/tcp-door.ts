/**
 * A way from one process to a server that can be closed: a TCP proxy on a port of its own. Closed silently it is a network
 * that loses packets: what is under way waits, and nobody is told. Closed refusing it is a host that is gone: connections
 * break, and new ones are refused.
 */
import { once } from 'node:events';
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net';

export type Closing = 'silent' | 'refusing';

export interface TcpDoor {
  readonly port: number;
  shut(how: Closing): void;
  /** Lets everything through again, what waited first. */
  open(): void;
  close(): Promise<void>;
}

interface Pair {
  readonly inner: Socket;
  /** Null until the door is open for the first time. */
  outer: Socket | null;
}

/** @param to  port on this machine that the door leads to. */
export async function openTcpDoor(to: number): Promise<TcpDoor> {
  const pairs = new Set<Pair>();
  let shut: Closing | null = null;

  const end = (pair: Pair) => {
    // Behind a silent door nobody hears that the other side has gone.
    if (shut === 'silent') return;
    pairs.delete(pair);
    pair.inner.destroy();
    pair.outer?.destroy();
  };
  const flow = (pair: Pair) => {
    if (pair.inner.destroyed || pair.outer?.destroyed) {
      end(pair);
      return;
    }
    if (pair.outer === null) {
      pair.outer = createConnection({ host: '127.0.0.1', port: to, noDelay: true });
      watch(pair.outer, pair);
    }
    pair.inner.pipe(pair.outer);
    pair.outer.pipe(pair.inner);
  };
  const watch = (socket: Socket, pair: Pair) => {
    socket.on('error', () => undefined);
    socket.on('close', () => end(pair));
  };
  const hold = ({ inner, outer }: Pair) => {
    inner.unpipe().pause();
    outer?.unpipe().pause();
  };

  const server = createServer({ noDelay: true }, (inner) => {
    const pair: Pair = { inner, outer: null };
    pairs.add(pair);
    watch(inner, pair);
    if (shut === 'refusing') end(pair);
    else if (shut === 'silent') hold(pair);
    else flow(pair);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    shut(how) {
      shut = how;
      for (const pair of [...pairs]) {
        if (how === 'silent') hold(pair);
        else end(pair);
      }
    },
    open() {
      shut = null;
      for (const pair of [...pairs]) flow(pair);
    },
    async close() {
      shut = 'refusing';
      const closed = once(server, 'close');
      server.close();
      for (const pair of [...pairs]) end(pair);
      await closed;
    },
  };
}
