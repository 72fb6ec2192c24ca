/**
 * One pipelined connection to one shard. Requests go out in order and come back by id; frames of one turn of the event loop
 * are sent together. When the connection breaks, all that waits fails with MILL_SHARD_UNAVAILABLE and the caller goes to
 * another owner; the next request connects anew, after a pause that doubles up to a bound.
 */
import {
  createFrameReader,
  type ErrorCode,
  errorFromRefusal,
  type Frame,
  frameKinds,
  isMillraceError,
  MillraceError,
  packedFrame,
  packedValueOf,
  reasonFrom,
} from '@millrace/protocol';
import type { Clock, Network, Wire } from '@millrace/runtime';

/** Requests waiting on one connection; more is overload. */
const waitingMax = 4_096;
const pauseFirstMs = 50;
const pauseMaxMs = 1_000;
/** A shard that refuses this client will do so until somebody changes a setting; each try costs it a line in its log. */
const pauseRefusedMs = 5_000;

/** Refusals of a whole connection that every further one would meet too. */
export const refusalCodes: ReadonlySet<ErrorCode> = new Set([
  'MILL_UNAUTHENTICATED',
  'MILL_TLS_REQUIRED',
  'MILL_CLUSTER_MISMATCH',
  'MILL_PROTOCOL_VERSION',
]);

export interface ShardAddress {
  readonly shard: string;
  readonly host: string;
  readonly port: number;
}

export interface ShardConnectionOptions {
  readonly network: Network;
  readonly address: ShardAddress;
  readonly cluster: string;
  readonly role: string;
  /** Shown to the shard; null: none. Default null. */
  readonly token?: string | null;
  readonly clock: Clock;
  readonly requestTimeoutMs: number;
}

export interface ShardConnection {
  /**
   * Sends a whole frame whose request id is `requestId` and hands the answer to `onAnswer` while its bytes are valid.
   * Resolves after onAnswer returned; `frame` may be used again then. When it rejects the frame may still wait in the socket.
   * @throws the refusal's code, MILL_SHARD_UNAVAILABLE, MILL_TIMEOUT, MILL_OVERLOADED; one of refusalCodes when the shard
   * takes no connection of this client, also for some seconds after it said so
   */
  request(frame: Uint8Array, requestId: number, onAnswer: (frame: Frame) => void): Promise<void>;
  nextRequestId(): number;
  /** Gives a waiting request up: its answer is dropped when it comes, and its promise resolves now. */
  cancel(requestId: number): void;
  /** True while connecting would fail at once because the last attempt just did. */
  readonly pausing: boolean;
  close(): void;
}

interface Waiting {
  readonly onAnswer: (frame: Frame) => void;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
  readonly deadlineMs: number;
}

export function createShardConnection(options: ShardConnectionOptions): ShardConnection {
  const { address, clock, requestTimeoutMs } = options;
  const waiting = new Map<number, Waiting>();
  let wire: Wire | null = null;
  let lastId = 0;
  let pauseMs = pauseFirstMs;
  let pauseUntilMs = 0;
  /** Why it pauses. */
  let pauseReason = unavailable(address, 'it just refused a connection');
  let corked = false;
  let closed = false;
  let sweep: { cancel(): void } | null = null;

  const failAll = (error: Error) => {
    const failed = [...waiting.values()];
    waiting.clear();
    for (const { reject } of failed) reject(error);
  };

  const onBroken = (broken: Wire, error: MillraceError) => {
    if (wire !== broken) return;
    wire = null;
    const isRefused = refusalCodes.has(error.code);
    pauseUntilMs = clock.monotonicMs() + (isRefused ? pauseRefusedMs : pauseMs);
    pauseReason = isRefused ? error : unavailable(address, 'it just refused a connection');
    pauseMs = Math.min(pauseMaxMs, 2 * pauseMs);
    broken.destroy();
    failAll(error);
  };

  const onFrame = (frame: Frame) => {
    const { kind, requestId } = frame.header;
    if (kind === frameKinds.welcome) {
      pauseMs = pauseFirstMs;
      return;
    }
    if (requestId === 0 && kind === frameKinds.refusal) throw errorFromRefusal(packedValueOf(frame.bytes));
    const entry = waiting.get(requestId);
    // Unknown ids are answers to requests that have timed out, or were given up.
    if (!entry) return;
    waiting.delete(requestId);
    try {
      if (kind === frameKinds.refusal) throw errorFromRefusal(packedValueOf(frame.bytes));
      entry.onAnswer(frame);
      entry.resolve();
    } catch (error) {
      entry.reject(error instanceof Error ? error : new Error(String(error)));
    }
  };

  const open = (): Wire => {
    const reader = createFrameReader();
    const opened = options.network.connect(address, {
      room: reader.room,
      onFilled(bytes) {
        try {
          reader.filled(bytes, onFrame);
        } catch (error) {
          onBroken(opened, connectionError(address, error));
        }
      },
      onClosed: (reason) => onBroken(opened, unavailable(address, reason ?? 'the connection was closed')),
    });
    const { cluster, role, token } = options;
    const hello = token ? { cluster, role, token } : { cluster, role };
    opened.write(packedFrame(frameKinds.hello, { requestId: 0, epoch: 0 }, hello));
    return opened;
  };

  const timeOut = () => {
    sweep = null;
    const nowMs = clock.monotonicMs();
    for (const [id, { deadlineMs, reject }] of waiting) {
      if (deadlineMs > nowMs) break;
      waiting.delete(id);
      reject(
        new MillraceError(
          'MILL_TIMEOUT',
          `shard ${address.shard} did not answer within ${requestTimeoutMs} ms`,
        ),
      );
    }
    if (waiting.size > 0) sweep = clock.setTimer(Math.ceil(requestTimeoutMs / 4), timeOut);
  };

  return {
    request(frame, requestId, onAnswer) {
      return new Promise<void>((resolve, reject) => {
        const nowMs = clock.monotonicMs();
        if (closed || (!wire && nowMs < pauseUntilMs)) {
          reject(closed ? unavailable(address, 'this client is closed') : pauseReason);
          return;
        }
        if (waiting.size >= waitingMax) {
          reject(
            new MillraceError(
              'MILL_OVERLOADED',
              `shard ${address.shard}: ${waitingMax} requests wait already`,
            ),
          );
          return;
        }
        wire ??= open();
        waiting.set(requestId, { onAnswer, resolve, reject, deadlineMs: nowMs + requestTimeoutMs });
        sweep ??= clock.setTimer(Math.ceil(requestTimeoutMs / 4), timeOut);
        if (!corked) {
          corked = true;
          const used = wire;
          used.cork();
          queueMicrotask(() => {
            corked = false;
            used.uncork();
          });
        }
        wire.write(frame);
      });
    },
    nextRequestId() {
      lastId = lastId === 0xffff_ffff ? 1 : lastId + 1;
      return lastId;
    },
    cancel(requestId) {
      const entry = waiting.get(requestId);
      waiting.delete(requestId);
      entry?.resolve();
    },
    get pausing() {
      return wire === null && clock.monotonicMs() < pauseUntilMs;
    },
    close() {
      closed = true;
      sweep?.cancel();
      const open = wire;
      wire = null;
      open?.destroy();
      failAll(unavailable(address, 'this client is closed'));
    },
  };
}

/** What a connection ends with that brought something that cannot be gone on from. */
function connectionError(address: ShardAddress, error: unknown): MillraceError {
  if (!isMillraceError(error) || !refusalCodes.has(error.code))
    return unavailable(address, reasonFrom(error));
  const { shard, host, port } = address;
  return new MillraceError(
    error.code,
    `shard ${shard} at ${host}:${port} refuses this client: ${error.message}`,
  );
}

function unavailable(address: ShardAddress, reason: string): MillraceError {
  const { shard, host, port } = address;
  return new MillraceError(
    'MILL_SHARD_UNAVAILABLE',
    `shard ${shard} at ${host}:${port} does not answer: ${reason}`,
  );
}
