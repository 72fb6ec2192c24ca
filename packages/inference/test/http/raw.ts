/** Requests that an ordinary client would not send. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { ErrorResponse } from '@millrace/protocol';
import { onTestFinished } from 'vitest';

export interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>> | undefined;
  readonly retryAfter: string | null;
}

/** Posts a body as it is. */
export async function post(
  url: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = { 'content-type': 'application/json' },
): Promise<Refusal> {
  return refusalFrom(await fetch(url, { method: 'POST', headers, body }));
}

export async function refusalFrom(response: Response): Promise<Refusal> {
  const { error } = (await response.json()) as ErrorResponse;
  const retryAfter = response.headers.get('retry-after');
  return {
    status: response.status,
    code: error.code,
    message: error.message,
    details: error.details,
    retryAfter,
  };
}

export interface RawConnection {
  readonly socket: Socket;
  write(bytes: string | Uint8Array): Promise<void>;
  /** Everything received up to and including the first occurrence of `mark`. */
  until(mark: string): Promise<string>;
  /** Everything received when the other side has closed. */
  rest(): Promise<string>;
}

export async function rawConnection(port: number): Promise<RawConnection> {
  const socket = connect(port, '127.0.0.1');
  let received = '';
  let failed = false;
  socket.on('data', (chunk: Buffer) => {
    received += chunk.toString('latin1');
  });
  socket.on('error', () => {
    failed = true;
  });
  onTestFinished(() => {
    socket.destroy();
  });
  await once(socket, 'connect');
  return {
    socket,
    write: (bytes) =>
      new Promise((resolve, reject) => {
        socket.write(bytes, (error) => (error ? reject(error) : resolve()));
      }),
    async until(mark) {
      while (!received.includes(mark)) {
        if (failed || socket.destroyed) throw new Error(`connection ended before ${mark}: ${received}`);
        await new Promise((resolve) => {
          socket.once('data', resolve);
          socket.once('close', resolve);
        });
      }
      const end = received.indexOf(mark) + mark.length;
      const text = received.slice(0, end);
      received = received.slice(end);
      return text;
    },
    async rest() {
      // Not events.once: it would reject on the error of a reset, which is one way to end.
      if (!socket.destroyed) await new Promise((resolve) => socket.once('close', resolve));
      return received;
    },
  };
}
