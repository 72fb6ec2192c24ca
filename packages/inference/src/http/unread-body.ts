/**
 * Lets a client that is still sending hear why it was refused.
 *
 * When a server closes a connection whose receive buffer holds unread bytes, TCP answers with a reset, and the reset can
 * overtake the answer: the client of a 10 MB body would see "connection reset" instead of MILL_BODY_TOO_LARGE. So what
 * still comes is read and thrown away, up to a bound, and the connection lives on for the next request. Where the caller
 * wants none, the connection is closed behind the last byte of the body rather than behind the answer.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { bodyBytesMax } from '@millrace/protocol';

/** More than this and the client is not one that will listen; the connection is cut. */
const discardedBytesMax = 16 * bodyBytesMax;

export interface UnreadBodies {
  /** Throws away the rest of a request that `response` is about to answer; does nothing if it was read to its end. */
  discard(request: IncomingMessage, response: ServerResponse): void;
  /** True while a request on this socket is answered but not fully read; it must get no second answer. */
  answered(socket: Socket): boolean;
}

export function unreadBodies(): UnreadBodies {
  const sockets = new WeakSet<Socket>();
  return {
    discard(request, response) {
      if (request.complete) return;
      const { socket } = request;
      const closesBehind = !response.shouldKeepAlive;
      response.shouldKeepAlive = true;
      let discardedBytes = 0;
      sockets.add(socket);
      request.on('data', (chunk: Uint8Array) => {
        discardedBytes += chunk.byteLength;
        if (discardedBytes > discardedBytesMax) socket.destroy();
      });
      request.once('end', () => {
        sockets.delete(socket);
        if (closesBehind) socket.end();
      });
      request.resume();
    },
    answered: (socket) => sockets.has(socket),
  };
}
