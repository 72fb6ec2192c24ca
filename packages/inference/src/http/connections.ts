/**
 * Bounds open connections, and says so before it cuts.
 *
 * A connection over `connectionsMax` is still taken, and its requests are answered MILL_OVERLOADED until another one
 * closes; only beyond a margin does the server drop connections without a word.
 *
 * With TLS a connection is two sockets: the one below, which is there before the handshake, and the one that requests come
 * on. Both stand at the same place, the other side's address and port.
 */
import type { Server } from 'node:http';
import { Server as SecureServer } from 'node:https';
import type { Socket } from 'node:net';
import { MillraceError } from '@millrace/protocol';

/** Connections over the limit that still get an answer; each costs a few tens of KiB. */
const answeredOverMax = 64;

export interface Connections {
  /**
   * Notes a request on `socket`.
   * @throws MILL_OVERLOADED when that connection is one too many.
   */
  admit(socket: Socket): void;
  /**
   * Ends the connections that have not sent a request yet, such as a browser opens in advance. Node counts them as
   * busy, and a drain would wait for them in vain.
   */
  endUnused(): void;
}

export function trackConnections(server: Server, connectionsMax: number): Connections {
  const below = new Map<string, Socket>();
  const over = new WeakSet<Socket>();
  const unused = new Set<Socket>();
  const isSecure = server instanceof SecureServer;
  let open = 0;
  server.maxConnections = connectionsMax + answeredOverMax;
  server.on('connection', (socket: Socket) => {
    open += 1;
    unused.add(socket);
    if (open > connectionsMax) over.add(socket);
    const place = placeOf(socket);
    if (isSecure) below.set(place, socket);
    socket.once('close', () => {
      open -= 1;
      unused.delete(socket);
      below.delete(place);
    });
  });
  return {
    admit(asking) {
      const socket = (isSecure && below.get(placeOf(asking))) || asking;
      unused.delete(socket);
      if (!over.has(socket)) return;
      if (open > connectionsMax) {
        const message = `connections: wanted at most ${connectionsMax}, found ${open}`;
        throw new MillraceError('MILL_OVERLOADED', message);
      }
      over.delete(socket);
    },
    endUnused() {
      for (const socket of unused) socket.destroy();
    },
  };
}

/** Where the other side of a connection is: the same of both its sockets, with TLS. */
export function placeOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
