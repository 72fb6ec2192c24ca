/**
 * The shard's port. Connections are pipelined: every frame is answered in turn, and answers of one read are sent together.
 * A connection starts with `hello`; a malformed frame is answered with its code and ends the connection, since nothing
 * after it can be trusted. A peer that does not read its answers is not read from either (I7).
 */
import { createServer, type Server, type Socket } from 'node:net';
import {
  createFrameReader,
  type Frame,
  frameKinds,
  isMillraceError,
  MillraceError,
  packedFrame,
  packedValueOf,
  pullFrameBytes,
} from '@millrace/protocol';
import type { Logger } from '@millrace/runtime';
import { createBufferPool } from './buffer-pool.ts';
import { answerFrame, type Holdings, refusalFrame } from './pull-handler.ts';

/** Unsent answer bytes at which a connection is no longer read. */
const unsentBytesMax = 32 * 1024 * 1024;
/** A partial frame that makes no progress for so long ends its connection. */
const idlePartialMs = 30_000;
/** How long a refused peer may take to read its refusal. */
const lingerMs = 2_000;
/** Where a frame's kind stands (pull-frame.ts). */
const kindAt = 6;

export interface TcpServerOptions {
  readonly host: string;
  readonly port: number;
  readonly cluster: string;
  readonly shard: string;
  readonly connectionsMax: number;
  readonly holdings: Holdings;
  readonly logger: Logger;
  readonly onPull: (keys: number) => void;
}

export interface TcpServer {
  readonly port: number;
  close(): Promise<void>;
}

export async function listenForPulls(options: TcpServerOptions): Promise<TcpServer> {
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    serveConnection(socket, options);
  });
  server.maxConnections = options.connectionsMax;
  await listening(server, options);
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : options.port;
  return {
    port,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroySoon();
      await closed;
    },
  };
}

function listening(server: Server, options: TcpServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, () => {
      server.off('error', reject);
      server.on('error', (error) => options.logger.error({ err: error }, 'pull port failed'));
      resolve();
    });
  });
}

function serveConnection(socket: Socket, options: TcpServerOptions): void {
  const reader = createFrameReader();
  const pool = createBufferPool(8 * 1024 * 1024);
  let greeted = false;
  // A peer that connects and says nothing is as incomplete as half a frame.
  let isPartial = true;
  socket.setTimeout(idlePartialMs);

  const send = (bytes: Uint8Array) => {
    socket.write(bytes, () => pool.give(bytes));
  };

  const onFrame = (frame: Frame) => {
    if (!greeted) {
      greet(socket, frame, options);
      greeted = true;
      return;
    }
    const answer = answerFrame(options.holdings, frame, pool.take);
    if (answer[kindAt] === frameKinds.rows) options.onPull((frame.bytes.length - pullFrameBytes(0)) / 8);
    send(answer);
  };

  socket.on('data', (chunk) => {
    socket.cork();
    try {
      reader.push(chunk, onFrame);
    } catch (error) {
      endWith(socket, error, options);
    } finally {
      socket.uncork();
    }
    // Only when it changes: what sets a timer a read costs as much as answering a small pull. Any byte starts it anew.
    if (reader.pendingBytes > 0 !== isPartial) {
      isPartial = !isPartial;
      socket.setTimeout(isPartial ? idlePartialMs : 0);
    }
    if (socket.writableLength > unsentBytesMax) socket.pause();
  });
  socket.on('drain', () => socket.resume());
  socket.on('timeout', () => {
    endWith(
      socket,
      new MillraceError('MILL_FRAME_INVALID', `a frame stayed incomplete for ${idlePartialMs} ms`),
      options,
    );
  });
  socket.on('error', (error) => options.logger.debug({ err: error }, 'pull connection broke'));
}

function greet(socket: Socket, frame: Frame, options: TcpServerOptions): void {
  if (frame.header.kind !== frameKinds.hello) {
    throw new MillraceError(
      'MILL_FRAME_INVALID',
      `a connection must begin with hello, got kind ${frame.header.kind}`,
    );
  }
  const { cluster } = packedValueOf(frame.bytes);
  if (cluster !== options.cluster) {
    throw new MillraceError(
      'MILL_CLUSTER_MISMATCH',
      `this is a shard of cluster ${JSON.stringify(options.cluster)}, the caller wants ${shown(cluster)}`,
    );
  }
  const answer = { cluster: options.cluster, shard: options.shard };
  socket.write(packedFrame(frameKinds.welcome, { requestId: frame.header.requestId, epoch: 0 }, answer));
}

/** What a peer sent, short enough to be sent back. */
function shown(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 80)) : typeof value;
}

function endWith(socket: Socket, error: unknown, options: TcpServerOptions): void {
  if (!isMillraceError(error)) throw error;
  options.logger.warn(
    { code: error.code, peer: socket.remoteAddress, reason: error.message },
    'pull connection refused',
  );
  socket.removeAllListeners('data');
  socket.removeAllListeners('timeout');
  // A peer that never closes its own half is not waited for.
  socket.setTimeout(lingerMs, () => socket.destroy());
  socket.end(refusalFrame(0, error));
}
