/**
 * The life of a process: start, wait for a signal or a failure, drain, exit. Exit codes: 0 after a drain that was asked for,
 * 1 after a failure, an unhandled error, a second signal, or a drain that took too long.
 */
import { isMillraceError, reasonFrom } from '@millrace/protocol';
import type { Logger } from './logger.ts';
import { createService, type Service } from './service.ts';

/** What `runService` needs of the process; `process` itself outside tests. */
export interface ProcessHost {
  on(event: string, listener: (...values: unknown[]) => void): unknown;
  off(event: string, listener: (...values: unknown[]) => void): unknown;
  exit(code: number): void;
  /** True when a parent process holds a channel to this one. */
  readonly connected?: boolean | undefined;
}

export interface RunOptions {
  readonly name: string;
  readonly logger: Logger;
  /** Opens everything and hands it to the service; resolves once the process is up. */
  readonly main: (service: Service) => Promise<void>;
  /** How long the whole drain may take, ms. Default 30,000. */
  readonly drainMsMax?: number;
  readonly host?: ProcessHost;
}

const drainMsMaxDefault = 30_000;

type End =
  | { readonly kind: 'asked'; readonly by: string }
  | { readonly kind: 'failed'; readonly error: unknown };

/**
 * Runs `main` and ends the process when it is told to (SIGTERM, SIGINT, or a parent that is gone) or cannot go on.
 * Resolves after `exit` was called, which matters only where `host` is not the process.
 */
export async function runService(options: RunOptions): Promise<void> {
  const { logger } = options;
  const host = options.host ?? process;
  const service = createService({ name: options.name, logger });
  const watch = watchForEnd(host, logger);
  const failed = service.failed.catch((error: unknown): End => ({ kind: 'failed', error }));
  const started = options.main(service).then(
    () => new Promise<never>(() => undefined),
    (error: unknown): End => ({ kind: 'failed', error }),
  );
  const end = await Promise.race([watch.ended, failed, started]);
  const code = report(end, options);
  const drained = await drain(service, options.drainMsMax ?? drainMsMaxDefault, logger);
  logger.info({ drained }, 'service ended');
  watch.stop();
  host.exit(drained ? code : 1);
}

function watchForEnd(host: ProcessHost, logger: Logger): { readonly ended: Promise<End>; stop(): void } {
  const listeners: [string, (...values: unknown[]) => void][] = [];
  const listen = (event: string, listener: (...values: unknown[]) => void) => {
    host.on(event, listener);
    listeners.push([event, listener]);
  };
  const ended = new Promise<End>((resolve) => {
    let asked = false;
    const ask = (by: string) => {
      if (asked) {
        logger.warn({ by }, 'drain cut short');
        host.exit(1);
      }
      asked = true;
      resolve({ kind: 'asked', by });
    };
    listen('SIGTERM', () => ask('SIGTERM'));
    listen('SIGINT', () => ask('SIGINT'));
    // A parent that dies without a word leaves a closed channel behind; nobody would ever stop this process.
    if (host.connected === true) {
      listen('disconnect', () => {
        if (!asked) ask('disconnect');
      });
    }
    for (const event of ['uncaughtException', 'unhandledRejection']) {
      listen(event, (error) => {
        logger.fatal({ event, ...errorFields(error) }, 'error not handled');
        host.exit(1);
      });
    }
  });
  return {
    ended,
    stop: () => {
      for (const [event, listener] of listeners) host.off(event, listener);
    },
  };
}

function report(end: End, options: RunOptions): number {
  if (end.kind === 'asked') {
    options.logger.info({ by: end.by }, 'drain started');
    return 0;
  }
  options.logger.fatal(errorFields(end.error), 'service failed');
  return 1;
}

async function drain(service: Service, msMax: number, logger: Logger): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), msMax);
  });
  const drained = await Promise.race([service.close().then(() => true), late]);
  clearTimeout(timer);
  if (!drained) logger.error({ limitMs: msMax }, 'drain took too long');
  return drained;
}

/** A code is enough for what a person can mend; a defect needs its stack. */
function errorFields(error: unknown): Record<string, unknown> {
  if (isMillraceError(error)) return { code: error.code, reason: error.message };
  return { reason: reasonFrom(error), stack: error instanceof Error ? error.stack : undefined };
}
