import { expect, test } from 'vitest';
import { createManualClock } from '../src/clock.ts';
import { createLogger } from '../src/logger.ts';
import { createService } from '../src/service.ts';

function serviceWith(options: { closeMsMax?: number } = {}) {
  const lines: Record<string, unknown>[] = [];
  const logger = createLogger({
    service: 'test',
    level: 'trace',
    destination: { write: (line) => void lines.push(JSON.parse(line)) },
  });
  const clock = createManualClock(0);
  return { service: createService({ name: 'test', logger, clock, ...options }), clock, lines };
}

test('service: close: the last owned first, each after the one before has closed', async () => {
  const { service } = serviceWith();
  const steps: string[] = [];
  for (const name of ['bus', 'reader', 'port']) {
    const owned = service.own(name, {
      close: async () => {
        steps.push(`close ${name}`);
        await Promise.resolve();
        steps.push(`closed ${name}`);
      },
    });
    expect(owned.close).toBeTypeOf('function');
  }
  await Promise.all([service.close(), service.close()]);
  expect(steps).toEqual([
    'close port',
    'closed port',
    'close reader',
    'closed reader',
    'close bus',
    'closed bus',
  ]);
});

test('service: close: a part that fails or never ends does not keep the others', async () => {
  const { service, clock, lines } = serviceWith({ closeMsMax: 100 });
  const closed: string[] = [];
  service.own('first', { close: () => void closed.push('first') });
  service.own('stuck', { close: () => new Promise<void>(() => undefined) });
  service.own('broken', {
    close: () => {
      throw new Error('bang');
    },
  });
  const closing = service.close();
  await expect.poll(() => clock.timersWaiting).toBe(1);
  clock.advanceBy(100);
  await closing;
  expect(closed).toEqual(['first']);
  expect(lines).toMatchObject([
    { level: 'error', part: 'broken', reason: 'bang' },
    { level: 'warn', part: 'stuck', limitMs: 100 },
  ]);
  expect(clock.timersWaiting).toBe(0);
});

test('service: close: a part may have a limit of its own', async () => {
  const { service, clock, lines } = serviceWith({ closeMsMax: 100 });
  let end = () => {};
  const slow = {
    close: () =>
      new Promise<void>((resolve) => {
        end = resolve;
      }),
  };
  service.own('slow', slow, { closeMsMax: 1_000 });
  const closing = service.close();
  await expect.poll(() => clock.timersWaiting).toBe(1);
  clock.advanceBy(999);
  end();
  await closing;
  expect(lines).toEqual([]);

  const late = serviceWith({ closeMsMax: 100 });
  late.service.own('slow', slow, { closeMsMax: 1_000 });
  const closingLate = late.service.close();
  await expect.poll(() => late.clock.timersWaiting).toBe(1);
  late.clock.advanceBy(1_000);
  await closingLate;
  expect(late.lines).toMatchObject([{ level: 'warn', part: 'slow', limitMs: 1_000 }]);
});

test('service: background: a rejection fails the service and is logged', async () => {
  const { service, lines } = serviceWith();
  service.background(Promise.resolve('fine'), 'fine');
  service.background(Promise.reject(new Error('bang')), 'loop');
  await expect(service.failed).rejects.toThrow('bang');
  expect(lines).toMatchObject([{ level: 'error', what: 'loop', reason: 'bang' }]);
});

test('service: background: close waits for it; a rejection while closing does not fail the service', async () => {
  const { service, lines } = serviceWith();
  let end: (error: Error) => void = () => undefined;
  service.background(
    new Promise((_resolve, reject) => {
      end = reject;
    }),
    'loop',
  );
  service.own('loop', { close: () => end(new Error('closed under it')) });
  let failed = false;
  service.failed.catch(() => {
    failed = true;
  });
  await service.close();
  expect(lines).toMatchObject([{ level: 'warn', what: 'loop', reason: 'closed under it' }]);
  expect(failed).toBe(false);
});

test('service: own: while closing, the part is closed and its owner stopped', async () => {
  const { service } = serviceWith();
  let release: () => void = () => undefined;
  service.own('slow', {
    close: () =>
      new Promise<void>((resolve) => {
        release = resolve;
      }),
  });
  const closing = service.close();
  let closed = false;
  expect(() =>
    service.own('late', {
      close: () => {
        closed = true;
      },
    }),
  ).toThrow(expect.objectContaining({ code: 'MILL_CLOSED' }));
  await Promise.resolve();
  release();
  await closing;
  expect(closed).toBe(true);
});
