/** The network of the machine: TCP, with TLS where the process has an identity. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { ListenOptions, Network, Wire, WireEvents, WireListener } from './network.ts';
import type { TlsIdentity } from './tls-files.ts';
import { connectTls, openTlsDoor, peerOf, shardFaultFrom } from './tls-sockets.ts';

export interface TcpNetworkOptions {
  /** Who this process is and whom it trusts; null: neither side proves itself, and nothing is encrypted. Default null. */
  readonly tls?: TlsIdentity | null;
}

export function createTcpNetwork({ tls = null }: TcpNetworkOptions = {}): Network {
  return {
    connect({ host, port }, events) {
      let isSilent = true;
      // Bytes are read straight into the reader's room: a quarter of what chunks of the stream's own cost.
      const callback = (bytes: number) => {
        isSilent = false;
        if (takesBytes(socket)) events.onFilled(bytes);
        return true;
      };
      const onread = { buffer: () => events.room() as Buffer, callback };
      const socket = tls
        ? connectTls({ identity: tls, host, port, onread })
        : connect({ host, port, noDelay: true, onread });
      tellEvents(socket, events, (error) => {
        if (!tls) return error?.message ?? null;
        return shardFaultFrom(error, isSilent);
      });
      return wireOf(socket, `${host}:${port}`);
    },
    listen: (options) => listen(options, tls),
  };
}

async function listen(options: ListenOptions, tls: TlsIdentity | null): Promise<WireListener> {
  const door =
    tls &&
    openTlsDoor({
      identity: tls,
      onCaller: (socket) => accept(socket, options),
      onRefused: options.onRefused,
    });
  const server = createServer({ noDelay: true }, (socket) => {
    if (door) door.admit(socket);
    else accept(socket, options);
  });
  server.maxConnections = options.connectionsMax;
  await listening(server, options);
  const address = server.address();
  return {
    port: typeof address === 'object' && address ? address.port : options.port,
    close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      door?.close();
      return closed;
    },
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
  const events = options.onConnection(wireOf(socket, peerOf(socket)));
  tellEvents(socket, events, (error) => error?.message ?? null);
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
function tellEvents(
  socket: Socket,
  events: WireEvents,
  reasonFor: (error: Error | null) => string | null,
): void {
  let broken: Error | null = null;
  socket.on('drain', () => events.onDrain?.());
  socket.on('error', (error) => {
    broken ??= error;
  });
  socket.once('close', () => events.onClosed(reasonFor(broken)));
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
