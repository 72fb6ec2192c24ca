/** The Thrift face of the scoring server: framed transport, binary protocol, over TCP or TLS. */
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createSecureServer } from 'node:tls';
import { bodyBytesMax, MillraceError } from '@millrace/protocol';
import { type Access, type Clock, openAccess } from '@millrace/runtime';
import { Counter, type Registry } from 'prom-client';
import { nativeAnswers } from '../grpc/native-service.ts';
import { placeOf } from '../http/connections.ts';
import type { Logger } from '../http/refusals.ts';
import { priorityFrom } from '../priority.ts';
import type { Caller, ScoringService } from '../scoring-service.ts';
import { within } from '../time-limit.ts';
import type { Tracing } from '../tracing/span.ts';
import { type AnswerCall, answerFrame, type ThriftCall } from './answer-frame.ts';
import { loadThrift, type ThriftLibrary } from './library.ts';

export interface ThriftOptions {
  readonly service: ScoringService;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Gets the count of calls. */
  readonly registry: Registry;
  readonly newIncidentId: () => string;
  /** Default 127.0.0.1, as HTTP's. */
  readonly host?: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Open at once; more are closed without a word, for which Thrift has no place. */
  readonly connectionsMax: number;
  /** Time for an answer, ms; a caller's shorter one goes before it. */
  readonly requestTimeoutMs: number;
  /** Who may call what. Default: no key is asked for. */
  readonly access?: Access;
  /** Certificate and key, PEM; null: without TLS. Default null. */
  readonly tls?: { readonly cert: string; readonly key: string } | null;
  /** Gets a span of each call; null: nobody does. Default null. */
  readonly tracing?: Tracing | null;
}

export interface ThriftFace {
  /** Where it listens. */
  readonly port: number;
  /** Takes no more calls, lets running ones finish within `requestTimeoutMs`. */
  close(): Promise<void>;
}

/** Calls of one connection at once; further frames stay unread until one is answered. */
const callsMax = 256;
/** Connections without a byte are closed after this long, as those of HTTP are. */
const idleMs = 65_000;

/**
 * Listens and serves.
 * @throws MILL_CONFIG_INVALID when the package is missing, and what `listen` throws.
 */
export async function startThrift(options: ThriftOptions): Promise<ThriftFace> {
  const { tls = null, host = '127.0.0.1', connectionsMax, requestTimeoutMs } = options;
  const library = await loadThrift();
  const running = new Set<Promise<void>>();
  const sockets = new Set<Socket>();
  /** With TLS, those below whose other side has not shaken hands yet, by its place. */
  const strangers = new Map<string, Socket>();
  const state = { closing: false };
  const counter = new Counter({
    name: 'millrace_thrift_requests_total',
    help: 'Thrift calls answered.',
    labelNames: ['method', 'code'] as const,
    registers: [options.registry],
  });
  const answerer = createAnswerer(options, (method, code) => counter.inc({ method, code }));
  const serve = (socket: Socket) => {
    strangers.delete(placeOf(socket));
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    serveSocket(library, socket, answerer(socket), running, state);
  };
  const server =
    tls === null
      ? createServer(serve)
      : createSecureServer({ cert: tls.cert, key: tls.key, minVersion: 'TLSv1.2' }, serve);
  server.maxConnections = connectionsMax;
  if (tls !== null)
    server.on('connection', (socket: Socket) => {
      const place = placeOf(socket);
      strangers.set(place, socket);
      socket.once('close', () => strangers.delete(place));
    });
  const port = await listen(server, options.port, host);
  options.logger.info({ host, port }, 'thrift listening');
  let closed: Promise<void> | undefined;
  const close = async () => {
    state.closing = true;
    const ended = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of strangers.values()) socket.destroy();
    for (const socket of sockets) socket.pause();
    // Bounded: each call is, by its time limit.
    await Promise.allSettled(running);
    const cut = options.clock.setTimer(requestTimeoutMs, () => destroyAll(sockets));
    for (const socket of sockets) socket.end(() => socket.destroy());
    await ended;
    cut.cancel();
  };
  return {
    port,
    close() {
      closed ??= close();
      return closed;
    },
  };
}

function destroyAll(sockets: ReadonlySet<Socket>): void {
  for (const socket of sockets) socket.destroy();
}

function listen(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      const address = server.address();
      resolve(typeof address === 'object' && address ? address.port : port);
    });
  });
}

function serveSocket(
  library: ThriftLibrary,
  socket: Socket,
  answer: AnswerCall,
  running: Set<Promise<void>>,
  state: { readonly closing: boolean },
): void {
  let calls = 0;
  const balance = () => {
    if (state.closing || calls >= callsMax || socket.writableNeedDrain) socket.pause();
    else if (socket.isPaused()) socket.resume();
  };
  const onFrame = async (transport: object) => {
    calls += 1;
    try {
      const frame = await answerFrame(library, transport, answer);
      if (frame === null) socket.destroy();
      else if (!socket.destroyed) socket.write(frame);
    } finally {
      calls -= 1;
      balance();
    }
  };
  const receive = library.TFramedTransport.receiver(
    (transport) => {
      const call: Promise<void> = onFrame(transport)
        .catch(() => void socket.destroy())
        .finally(() => running.delete(call));
      running.add(call);
    },
    undefined,
    bodyBytesMax,
  );
  socket.setTimeout(idleMs, () => socket.destroy());
  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy());
  socket.on('drain', balance);
  socket.on('data', (chunk: Buffer) => {
    try {
      receive(chunk);
    } catch {
      // A frame that is too long, or no frame at all: nothing behind it can be told from it.
      socket.destroy();
    }
    balance();
  });
}

/** Answers the calls of a connection as the native service does; defects go into the log alone. */
function createAnswerer(options: ThriftOptions, onAnswered: (method: string, code: string) => void) {
  const { logger, newIncidentId, clock, requestTimeoutMs, access = openAccess } = options;
  const answers = nativeAnswers(options.service);
  const work = async (socket: Socket, { name, method, facts, message }: ThriftCall): Promise<object> => {
    const verdict = access.authorize({ key: facts.key ?? null, needs: method.needs });
    if (verdict.kind === 'refused') throw verdict.error;
    const limitMs = Math.min(facts.timeoutMs ?? requestTimeoutMs, requestTimeoutMs);
    if (limitMs <= 0) throw new MillraceError('MILL_TIMEOUT', 'call.timeoutMs: no time is left');
    const priority = priorityFrom(facts.priority, 'call.priority');
    const endMs = clock.monotonicMs() + limitMs;
    const span =
      options.tracing?.begin(
        `millrace.thrift/${name}`,
        { 'rpc.system': 'apache_thrift', 'rpc.method': name },
        facts,
      ) ?? undefined;
    const caller: Caller = {
      get gone() {
        return socket.destroyed || clock.monotonicMs() >= endMs;
      },
      span,
      priority,
    };
    try {
      const answered = await within(
        limitMs,
        (async () => answers[method.answeredBy](message as never, caller))(),
      );
      span?.end();
      return answered;
    } catch (error) {
      span?.end(error);
      throw error;
    }
  };
  return (socket: Socket): AnswerCall =>
    async (call) => {
      try {
        const answered = await work(socket, call);
        onAnswered(call.name, 'OK');
        return answered;
      } catch (error) {
        const refused = refusalOf(error);
        onAnswered(call.name, refused.code);
        throw refused;
      }
    };

  function refusalOf(error: unknown): MillraceError {
    if (error instanceof MillraceError) return error;
    const incident = newIncidentId();
    logger.error({ incident, err: error }, 'call failed');
    const message = `a defect of Millrace; the node's log has it as incident ${incident}`;
    return new MillraceError('MILL_INTERNAL', message, { details: { incident } });
  }
}
