/**
 * The shard's port. Connections are pipelined: every frame is answered in turn, and answers of one read are sent together.
 * A connection starts with `hello`; a malformed frame is answered with its code and ends the connection, since nothing
 * after it can be trusted. A peer that does not read its answers is not read from either (I7).
 */
import { createHash, timingSafeEqual } from 'node:crypto';
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
import type { Clock, Logger, Network, Timer, Wire, WireEvents } from '@millrace/runtime';
import { createBufferPool } from './buffer-pool.ts';
import { answerFrame, type Holdings, refusalFrame } from './pull-handler.ts';

/** Unsent answer bytes at which a connection is no longer read. */
const unsentBytesMax = 32 * 1024 * 1024;
/** A partial frame that makes no progress for so long ends its connection. */
const idlePartialMs = 30_000;
/** Connections are looked at this often, so one that is idle ends up to a half later. */
const sweepMs = idlePartialMs / 2;
/** How long a peer whose connection is ended may take to read what it was sent last. */
const lingerMs = 2_000;
/** Where a frame's kind stands (pull-frame.ts). */
const kindAt = 6;

export interface TcpServerOptions {
  readonly network: Network;
  readonly clock: Clock;
  readonly host: string;
  readonly port: number;
  readonly cluster: string;
  /** What callers must show; null: nothing. Default null. */
  readonly token?: string | null;
  readonly shard: string;
  readonly connectionsMax: number;
  readonly holdings: Holdings;
  readonly logger: Logger;
  readonly onPull: (keys: number) => void;
}

export interface TcpServer {
  readonly port: number;
  /** Connections that are open. */
  readonly connections: number;
  close(): Promise<void>;
}

interface Connection extends WireEvents {
  /** Counts a sweep; ends the connection if half a frame has lain too long. */
  sweep(): void;
  /** Sends what is queued, then ends. */
  end(last?: Uint8Array): void;
}

export async function listenForPulls(options: TcpServerOptions): Promise<TcpServer> {
  const { clock, logger } = options;
  const connections = new Set<Connection>();
  let sweepTimer: Timer | null = null;
  const sweep = () => {
    sweepTimer = null;
    for (const connection of connections) connection.sweep();
    if (connections.size > 0) sweepTimer = clock.setTimer(sweepMs, sweep);
  };
  const listener = await options.network.listen({
    host: options.host,
    port: options.port,
    connectionsMax: options.connectionsMax,
    onConnection(wire) {
      const connection = serveConnection(wire, options, () => connections.delete(connection));
      connections.add(connection);
      sweepTimer ??= clock.setTimer(sweepMs, sweep);
      return connection;
    },
    onRefused(reason, peer) {
      const error = new MillraceError('MILL_TLS_REQUIRED', reason);
      tellRefused(error, peer, options);
      return refusalFrame(0, error);
    },
    onFailed: (error) => logger.error({ err: error }, 'pull port failed'),
  });
  return {
    port: listener.port,
    get connections() {
      return connections.size;
    },
    async close() {
      const closed = listener.close();
      for (const connection of connections) connection.end();
      await closed;
      sweepTimer?.cancel();
    },
  };
}

function serveConnection(wire: Wire, options: TcpServerOptions, onClosed: () => void): Connection {
  const { clock, logger } = options;
  const reader = createFrameReader();
  const pool = createBufferPool(8 * 1024 * 1024);
  let greeted = false;
  // A peer that connects and says nothing is as incomplete as half a frame.
  let isPartial = true;
  let sweepsWithoutBytes = 0;
  let linger: Timer | null = null;

  const end = (last?: Uint8Array) => {
    if (linger) return;
    // A peer that never closes its own half is not waited for.
    linger = clock.setTimer(lingerMs, () => wire.destroy());
    wire.end(last);
  };
  const refuse = (error: unknown) => {
    if (!isMillraceError(error)) throw error;
    tellRefused(error, wire.peer, options);
    end(refusalFrame(0, error));
  };

  const onFrame = (frame: Frame) => {
    if (!greeted) {
      greet(wire, frame, options);
      greeted = true;
      return;
    }
    const answer = answerFrame(options.holdings, frame, pool.take);
    if (answer[kindAt] === frameKinds.rows) options.onPull((frame.bytes.length - pullFrameBytes(0)) / 8);
    wire.write(answer, () => pool.give(answer));
  };

  return {
    room: reader.room,
    onFilled(bytes) {
      sweepsWithoutBytes = 0;
      wire.cork();
      try {
        reader.filled(bytes, onFrame);
      } catch (error) {
        refuse(error);
      } finally {
        wire.uncork();
      }
      isPartial = reader.pendingBytes > 0;
      if (wire.unsentBytes > unsentBytesMax) wire.pause();
    },
    onDrain: () => wire.resume(),
    onClosed(reason) {
      linger?.cancel();
      if (reason !== null) logger.debug({ peer: wire.peer, reason }, 'pull connection broke');
      onClosed();
    },
    sweep() {
      sweepsWithoutBytes += 1;
      // The first sweep of three counts for nothing: it may have come right after a byte.
      if (!isPartial || linger || sweepsWithoutBytes * sweepMs <= idlePartialMs) return;
      refuse(new MillraceError('MILL_FRAME_INVALID', `a frame stayed incomplete for ${idlePartialMs} ms`));
    },
    end,
  };
}

function greet(wire: Wire, frame: Frame, options: TcpServerOptions): void {
  if (frame.header.kind !== frameKinds.hello) {
    throw new MillraceError(
      'MILL_FRAME_INVALID',
      `a connection must begin with hello, got kind ${frame.header.kind}`,
    );
  }
  const { cluster, token } = packedValueOf(frame.bytes);
  // First: who does not know the token learns nothing else.
  if (options.token && !isToken(token, options.token)) {
    throw new MillraceError(
      'MILL_UNAUTHENTICATED',
      `shard ${options.shard} wants the token of its cluster, the caller shows ${token === undefined ? 'none' : 'another'}`,
    );
  }
  if (cluster !== options.cluster) {
    throw new MillraceError(
      'MILL_CLUSTER_MISMATCH',
      `this is a shard of cluster ${JSON.stringify(options.cluster)}, the caller wants ${shown(cluster)}`,
    );
  }
  const answer = { cluster: options.cluster, shard: options.shard };
  wire.write(packedFrame(frameKinds.welcome, { requestId: frame.header.requestId, epoch: 0 }, answer));
}

/** Hashes are of one length, and comparing them takes as long wherever they differ. */
function isToken(shown: unknown, wanted: string): boolean {
  return typeof shown === 'string' && timingSafeEqual(sha256(shown), sha256(wanted));
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** What a peer sent, short enough to be sent back. */
function shown(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 80)) : typeof value;
}

function tellRefused({ code, message }: MillraceError, peer: string, { logger }: TcpServerOptions): void {
  logger.warn({ code, peer, reason: message }, 'pull connection refused');
}
