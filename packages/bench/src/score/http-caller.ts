/**
 * Just enough of an HTTP/1.1 client to cost the machine little: whole requests are written at once, of an answer the status is
 * read and the body counted. What is measured through it is the server.
 */
import { connect, type Socket } from 'node:net';

/** @param sentMs  when the request went to its connection, by performance.now. */
export type OnAnswer = (status: number, sentMs: number) => void;

export interface HttpCaller {
  /**
   * Opens all connections that there may be, as a service has them before its load comes: Node accepts one a turn of its loop, so on a
   * busy server the first request of a new connection waits for many turns. Resolves once each is open or has failed.
   */
  open(): Promise<void>;
  /** Sends bytes that requestBytes made, on a connection that is free or the first that becomes so. */
  send(request: Uint8Array, onAnswer: OnAnswer): void;
  close(): void;
}

const answerBytesMax = 256 * 1024;
const headEnd = Buffer.from('\r\n\r\n');
/** Status of a request to which no answer came. */
export const noAnswer = 0;

/** A POST of JSON on a connection that stays open. */
export function requestBytes(url: URL, body: string, headers: Readonly<Record<string, string>> = {}): Buffer {
  const lines = [
    `POST ${url.pathname} HTTP/1.1`,
    `host: ${url.host}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ];
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`);
}

interface Waiting {
  readonly request: Uint8Array;
  readonly onAnswer: OnAnswer;
}

interface Line {
  readonly socket: Socket;
  waiting: Waiting | null;
  sentMs: number;
}

/** An answer is told with its status, `noAnswer` where the connection ended before it was whole; the connection is then opened anew. */
export function createHttpCaller(url: URL, connectionsMax: number): HttpCaller {
  const free: Line[] = [];
  const lines = new Set<Line>();
  let queue: Waiting[] = [];
  let queueFrom = 0;
  let closed = false;

  const take = (): Waiting | undefined => {
    if (queueFrom === queue.length) return undefined;
    const waiting = queue[queueFrom];
    queueFrom += 1;
    if (queueFrom === queue.length) {
      queue = [];
      queueFrom = 0;
    }
    return waiting;
  };
  const start = (line: Line, waiting: Waiting) => {
    line.waiting = waiting;
    line.sentMs = performance.now();
    line.socket.write(waiting.request);
  };
  const finish = (line: Line, status: number) => {
    const { waiting, sentMs } = line;
    line.waiting = null;
    const next = take();
    if (next) start(line, next);
    else free.push(line);
    waiting?.onAnswer(status, sentMs);
  };

  const open = (): Line => {
    const bytes = Buffer.allocUnsafe(answerBytesMax);
    let end = 0;
    const onBytes = (count: number) => {
      end += count;
      const head = bytes.subarray(0, end).indexOf(headEnd);
      if (head < 0) return;
      const text = bytes.toString('latin1', 0, head);
      const length = Number(/\r\ncontent-length: *(\d+)/i.exec(text)?.[1] ?? 0);
      if (end < head + headEnd.length + length) return;
      end = 0;
      finish(line, Number(text.slice(9, 12)));
    };
    const socket = connect({
      port: Number(url.port),
      host: url.hostname,
      noDelay: true,
      onread: {
        buffer: () => bytes.subarray(end),
        callback(count) {
          onBytes(count);
          return true;
        },
      },
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      lines.delete(line);
      const place = free.indexOf(line);
      if (place >= 0) free.splice(place, 1);
      // What waits has no other line to wait for where all have ended; an answer may have its caller send more.
      const next = closed ? undefined : take();
      if (next) start(open(), next);
      line.waiting?.onAnswer(noAnswer, line.sentMs);
      line.waiting = null;
    });
    const line: Line = { socket, waiting: null, sentMs: 0 };
    lines.add(line);
    return line;
  };

  return {
    async open() {
      while (lines.size < connectionsMax) free.push(open());
      await Promise.all([...lines].map(({ socket }) => connectedOrClosed(socket)));
    },
    send(request, onAnswer) {
      const waiting = { request, onAnswer };
      const line = free.pop() ?? (lines.size < connectionsMax ? open() : undefined);
      if (line) start(line, waiting);
      else queue.push(waiting);
    },
    close() {
      closed = true;
      for (const { socket } of lines) socket.destroy();
    },
  };
}

function connectedOrClosed(socket: Socket): Promise<void> {
  if (!socket.connecting) return Promise.resolve();
  return new Promise((resolve) => {
    socket.once('connect', resolve);
    socket.once('close', () => resolve());
  });
}
