import { EventEmitter } from 'node:events';
import { MillraceError } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { createLogger } from '../src/logger.ts';
import { type RunOptions, runService } from '../src/run-service.ts';
import type { Service } from '../src/service.ts';

class FakeProcess extends EventEmitter {
  readonly exits: number[] = [];
  readonly connected = true;
  exit(code: number): void {
    this.exits.push(code);
  }
}

function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((give) => {
    resolve = give;
  });
  return { promise, resolve: () => resolve() };
}

function runWith(main: (service: Service) => Promise<void>, options: Partial<RunOptions> = {}) {
  const lines: Record<string, unknown>[] = [];
  const logger = createLogger({
    service: 'test',
    level: 'info',
    destination: { write: (line) => void lines.push(JSON.parse(line)) },
  });
  const host = new FakeProcess();
  const running = runService({ name: 'test', logger, main, host, ...options });
  return { host, lines, running };
}

test.for(['SIGTERM', 'SIGINT', 'disconnect'])(
  'run service: %s: drains once and exits with 0',
  async (event) => {
    const closed: string[] = [];
    const { host, lines, running } = runWith(async (service) => {
      service.own('port', { close: () => void closed.push('port') });
    });
    host.emit(event);
    await running;
    expect(closed).toEqual(['port']);
    expect(host.exits).toEqual([0]);
    expect(lines.map((line) => line.msg)).toEqual(['drain started', 'service ended']);
    expect(host.eventNames()).toEqual([]);
  },
);

test('run service: a signal before the start is over drains what is there already', async () => {
  const closed: string[] = [];
  const { host, running } = runWith(async (service) => {
    service.own('bus', { close: () => void closed.push('bus') });
    await new Promise(() => undefined);
  });
  host.emit('SIGTERM');
  await running;
  expect(closed).toEqual(['bus']);
  expect(host.exits).toEqual([0]);
});

test('run service: a second signal exits with 1 at once', async () => {
  const release = deferred();
  const closing = deferred();
  const { host, running } = runWith(async (service) => {
    service.own('slow', {
      close: () => {
        closing.resolve();
        return release.promise;
      },
    });
  });
  host.emit('SIGINT');
  await closing.promise;
  expect(host.exits).toEqual([]);
  host.emit('SIGINT');
  expect(host.exits).toEqual([1]);
  release.resolve();
  await running;
});

test('run service: a parent that goes while the drain runs does not cut it short', async () => {
  const { host, running } = runWith(async () => undefined);
  host.emit('SIGTERM');
  host.emit('disconnect');
  await running;
  expect(host.exits).toEqual([0]);
});

test('run service: a start that fails closes what was opened and exits with 1', async () => {
  const closed: string[] = [];
  const { host, lines, running } = runWith(async (service) => {
    service.own('bus', { close: () => void closed.push('bus') });
    throw new MillraceError('MILL_CONFIG_INVALID', 'MILL_PORT must be …');
  });
  await running;
  expect(closed).toEqual(['bus']);
  expect(host.exits).toEqual([1]);
  expect(lines[0]).toMatchObject({
    level: 'fatal',
    code: 'MILL_CONFIG_INVALID',
    reason: 'MILL_PORT must be …',
  });
});

test('run service: background work that fails ends the process with 1, after a drain', async () => {
  const closed: string[] = [];
  const { host, running } = runWith(async (service) => {
    service.own('bus', { close: () => void closed.push('bus') });
    service.background(Promise.reject(new Error('bang')), 'loop');
  });
  await running;
  expect(closed).toEqual(['bus']);
  expect(host.exits).toEqual([1]);
});

test.for(['uncaughtException', 'unhandledRejection'])('run service: %s: is fatal at once', async (event) => {
  const { host, lines, running } = runWith(async () => undefined);
  host.emit(event, new Error('bang'));
  expect(host.exits).toEqual([1]);
  expect(lines).toMatchObject([{ level: 'fatal', event, reason: 'bang' }]);
  host.emit('SIGTERM');
  await running;
});

test('run service: a drain that takes too long exits with 1', async () => {
  const { host, lines, running } = runWith(
    async (service) => {
      service.own('stuck', { close: () => new Promise<void>(() => undefined) });
    },
    { drainMsMax: 20 },
  );
  host.emit('SIGTERM');
  await running;
  expect(host.exits).toEqual([1]);
  expect(lines.map((line) => line.msg)).toContain('drain took too long');
});
