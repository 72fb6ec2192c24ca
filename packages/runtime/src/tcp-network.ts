/** The network of the machine: TCP. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { ListenOptions, Network, Wire, WireEvents, WireListener } from './network.ts';

export function createTcpNetwork(): Network {
  return {
    connect({ host, port }, events) {
      // Bytes are read straight into the reader's room: a quarter of what chunks of the stream's own cost.
      const callback = (bytes: number) => {
        if (takesBytes(socket)) events.onFilled(bytes);
        return true;
      };
      const onread = { buffer: () => events.room() as Buffer, callback };
      const socket = connect({ host, port, noDelay: true, onread });
      tellEvents(socket, events);
      return wireOf(socket, `${host}:${port}`);
    },
    listen,
  };
}

async function listen(options: ListenOptions): Promise<WireListener> {
  const server = createServer({ noDelay: true }, (socket) => accept(socket, options));
  server.maxConnections = options.connectionsMax;
  await listening(server, options);
  const address = server.address();
  return {
    port: typeof address === 'object' && address ? address.port : options.port,
    close: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}

function listening(server: Server, { host, port, onFailed }: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      server.on('error', onFailed);
      resolve();
    });
  });
}

/** Node reads an accepted socket into chunks of its own, which are copied. */
function accept(socket: Socket, options: ListenOptions): void {
  const events = options.onConnection(wireOf(socket, socket.remoteAddress ?? 'a caller that is gone'));
  tellEvents(socket, events);
  socket.on('data', (chunk) => {
    for (let at = 0; at < chunk.length && takesBytes(socket); ) {
      const room = events.room();
      const bytes = Math.min(room.length, chunk.length - at);
      room.set(chunk.subarray(at, at + bytes));
      at += bytes;
      events.onFilled(bytes);
    }
  });
}

/** False once this side has ended it: what comes then is dropped. */
function takesBytes(socket: Socket): boolean {
  return !socket.writableEnded && !socket.destroyed;
}

/** All but its bytes. */
function tellEvents(socket: Socket, events: WireEvents): void {
  let broken: string | null = null;
  socket.on('drain', () => events.onDrain?.());
  socket.on('error', (error) => {
    broken ??= error.message;
  });
  socket.once('close', () => events.onClosed(broken));
}

function wireOf(socket: Socket, peer: string): Wire {
  return {
    peer,
    write(bytes, onSent) {
      if (onSent) socket.write(bytes, () => onSent());
      else socket.write(bytes);
    },
    cork: () => socket.cork(),
    uncork: () => socket.uncork(),
    get unsentBytes() {
      return socket.writableLength;
    },
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    end(last) {
      if (last) socket.end(last);
      else socket.end();
      // Paused, it would not see the other side end.
      socket.resume();
    },
    destroy: () => void socket.destroy(),
  };
}
