/**
 * Bounds open connections, and says so before it cuts.
 *
 * A connection over `connectionsMax` is still taken, and its requests are answered MILL_OVERLOADED until another one
 * closes; only beyond a margin does the server drop connections without a word.
 */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { MillraceError } from '@millrace/protocol';

/** Connections over the limit that still get an answer; each costs a few tens of KiB. */
const answeredOverMax = 64;

export interface ConnectionLimit {
  /** @throws MILL_OVERLOADED when `socket` is one too many. */
  check(socket: Socket): void;
}

export function limitConnections(server: Server, connectionsMax: number): ConnectionLimit {
  const over = new WeakSet<Socket>();
  let open = 0;
  server.maxConnections = connectionsMax + answeredOverMax;
  server.on('connection', (socket: Socket) => {
    open += 1;
    if (open > connectionsMax) over.add(socket);
    socket.once('close', () => {
      open -= 1;
    });
  });
  return {
    check(socket) {
      if (!over.has(socket)) return;
      if (open > connectionsMax) {
        throw new MillraceError(
          'MILL_OVERLOADED',
          `connections: wanted at most ${connectionsMax}, found ${open}`,
        );
      }
      over.delete(socket);
    },
  };
}
