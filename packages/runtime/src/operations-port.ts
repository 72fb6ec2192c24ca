/** A small port for operators of services that have no HTTP of their own: /metrics, /health/live, /health/ready. */
import { createServer, type IncomingMessage } from 'node:http';
import { errorTable } from '@millrace/protocol';
import { type Access, openAccess, shownKeyFrom } from './access.ts';
import type { Logger } from './logger.ts';
import type { Metrics } from './metrics.ts';

export interface OperationsPort {
  readonly port: number;
  close(): Promise<void>;
}

export interface OperationsPortOptions {
  readonly host: string;
  readonly port: number;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly isReady: () => boolean;
  /** All but health wants an admin's key. Default: no key is asked for. */
  readonly access?: Access;
}

export async function openOperationsPort(options: OperationsPortOptions): Promise<OperationsPort> {
  const { host, port, metrics, logger, isReady, access = openAccess } = options;
  const server = createServer((request, response) => {
    const answer = (status: number, text: string, type = 'text/plain') => {
      response.writeHead(status, { 'content-type': type });
      response.end(text);
    };
    const verdict = access.authorize({ key: shownKeyFrom(request.headers), needs: needOf(request) });
    if (verdict.kind === 'refused') {
      const { code, message } = verdict.error;
      if (code === 'MILL_UNAUTHENTICATED') response.setHeader('www-authenticate', 'Bearer realm="millrace"');
      answer(errorTable[code].http, `${code}: ${message}\n`);
    } else if (request.url === '/health/live') answer(200, 'live\n');
    else if (request.url === '/health/ready')
      answer(isReady() ? 200 : 503, isReady() ? 'ready\n' : 'not ready\n');
    else if (request.url === '/metrics') {
      metrics.text().then(
        (text) => answer(200, text, metrics.contentType),
        (error: unknown) => {
          logger.error({ err: error }, 'metrics failed');
          answer(500, 'metrics failed\n');
        },
      );
    } else answer(404, 'try /metrics, /health/live or /health/ready\n');
  });
  server.maxConnections = 64;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address ? address.port : port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function needOf({ url }: IncomingMessage): 'open' | 'admin' {
  return url === '/health/live' || url === '/health/ready' ? 'open' : 'admin';
}
