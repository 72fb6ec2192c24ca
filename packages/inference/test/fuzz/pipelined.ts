/**
 * A plain HTTP/1.1 client that keeps connections and sends before answers are there, many times as fast as `fetch`: the server
 * spends the time, not its caller. It takes what this server sends: a status line, headers, and `content-length` bytes.
 */
import { connect, type Socket } from 'node:net';

export interface Shot {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export interface Answer {
  readonly status: number;
  readonly body: string;
}

export interface Pipeline {
  /** Posts; rejects when the connection ends first, or nothing comes for `hangMs`. Answers come in the order of the posts. */
  post(shot: Shot): Promise<Answer>;
  close(): void;
}

interface Waiting {
  resolve(answer: Answer): void;
  reject(error: Error): void;
}

const headEnd = Buffer.from('\r\n\r\n');

/** @param hangMs  without a byte for so long while answers are awaited, the connection counts as hung. */
export function openPipeline(port: number, hangMs: number): Pipeline {
  let waiting: Waiting[] = [];
  let received: Buffer = Buffer.alloc(0);
  let socket: Socket | null = null;

  const fail = (error: Error) => {
    socket?.destroy();
    socket = null;
    received = Buffer.alloc(0);
    const left = waiting;
    waiting = [];
    for (const { reject } of left) reject(error);
  };

  const read = () => {
    for (;;) {
      const end = received.indexOf(headEnd);
      if (end < 0) return;
      const head = received.toString('latin1', 0, end);
      const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1]);
      const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1]);
      if (!(status >= 200 && length >= 0)) return fail(new Error(`no answer that is known: ${head}`));
      const from = end + headEnd.byteLength;
      if (received.byteLength < from + length) return;
      const body = received.toString('utf8', from, from + length);
      received = received.subarray(from + length);
      waiting.shift()?.resolve({ status, body });
      if (/\r\nconnection: close/i.test(head)) return fail(new Error(`closed behind ${status} ${body}`));
    }
  };

  const open = (): Socket => {
    const opened = connect(port, '127.0.0.1');
    const isCurrent = () => socket === opened;
    opened.setNoDelay(true);
    opened.setTimeout(hangMs, () => isCurrent() && fail(new Error(`nothing came for ${hangMs} ms`)));
    opened.on('data', (chunk: Buffer) => {
      if (!isCurrent()) return;
      received = received.byteLength === 0 ? chunk : Buffer.concat([received, chunk]);
      read();
    });
    opened.on('error', (error) => isCurrent() && fail(error));
    opened.on('close', () => isCurrent() && fail(new Error('connection closed')));
    return opened;
  };

  return {
    post({ path, headers, body }) {
      socket ??= open();
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
      const head = `POST ${path} HTTP/1.1\r\nhost: fuzz\r\n${lines.join('')}content-length: ${body.byteLength}\r\n\r\n`;
      const bytes = Buffer.concat([Buffer.from(head, 'latin1'), body]);
      const sent = socket;
      return new Promise((resolve, reject) => {
        waiting.push({ resolve, reject });
        sent.write(bytes);
      });
    },
    close() {
      socket?.destroy();
      socket = null;
    },
  };
}
