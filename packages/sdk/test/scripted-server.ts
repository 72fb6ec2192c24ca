/** An HTTP server that answers as a test says, one entry a request, and keeps what it was asked. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { type ErrorCode, errorTable } from '@millrace/protocol';
import { onTestFinished } from 'vitest';

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: unknown;
}

export type Step = (response: ServerResponse, asked: Asked) => void;

export interface ScriptedServer {
  readonly url: string;
  readonly asked: Asked[];
  readonly connections: () => number;
  close(): Promise<void>;
}

export const good =
  (body: object): Step =>
  (response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };

export const refused =
  (code: ErrorCode, options: { retryAfter?: string; details?: object } = {}): Step =>
  (response) => {
    const { http: status, retry } = errorTable[code];
    const { retryAfter, details } = options;
    const headers = retryAfter === undefined ? {} : { 'retry-after': retryAfter };
    response
      .writeHead(status, headers)
      .end(JSON.stringify({ error: { code, message: `said ${code}`, retry, details } }));
  };

export const silent: Step = () => {};

export const hangsUp: Step = (response) => {
  response.socket?.destroy();
};

/** Repeats the last step when the script is at its end. */
export async function scriptedServer(...steps: readonly Step[]): Promise<ScriptedServer> {
  const asked: Asked[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString();
      const { method = '', url: path = '', headers } = request;
      const one: Asked = { method, path, headers, body: text === '' ? undefined : JSON.parse(text) };
      asked.push(one);
      steps[Math.min(asked.length, steps.length) - 1]?.(response, one);
    });
  });
  server.on('connection', (socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  onTestFinished(close);
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, asked, connections: () => connections, close };
}
