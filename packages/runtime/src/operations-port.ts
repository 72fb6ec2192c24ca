/** A small port for operators of services that have no HTTP of their own: /metrics, /health/live, /health/ready. */
import { createServer } from 'node:http';
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
}

export async function openOperationsPort(options: OperationsPortOptions): Promise<OperationsPort> {
  const { host, port, metrics, logger, isReady } = options;
  const server = createServer((request, response) => {
    const answer = (status: number, text: string, type = 'text/plain') => {
      response.writeHead(status, { 'content-type': type });
      response.end(text);
    };
    if (request.url === '/health/live') answer(200, 'live\n');
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
