import {
  decodeEvent,
  eventsSubject,
  type Impression,
  MillraceError,
  modelNameFrom,
} from '@millrace/protocol';
import { type Bus, createLogger, createManualClock, createMemoryBus } from '@millrace/runtime';
import { expect, test } from 'vitest';
import { createImpressionLog } from '../src/impression-log.ts';

const impression: Impression = {
  type: 'impression',
  requestId: 'r',
  timeMs: 5,
  user: { who: 'eve' },
  context: {},
  items: [{ ad: 'x' }],
  scores: new Uint8Array(Float32Array.of(0.25).buffer),
  version: 3,
};

function quiet(lines: string[] = []) {
  const destination = { write: (line: string) => void lines.push(line) };
  return createLogger({ service: 'test', level: 'warn', destination });
}

/** A bus whose appends the test settles. */
function held() {
  const waiting: { resolve(sequence: number): void; reject(error: Error): void }[] = [];
  const bus: Bus = Object.create(null);
  bus.append = () => new Promise((resolve, reject) => waiting.push({ resolve, reject }));
  return { bus, waiting };
}

const keepMs = 1_000;
const outOfReach = () => new MillraceError('MILL_LOG_UNAVAILABLE', 'out of reach');
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** A log on a bus whose appends the test settles, and on a clock that it moves. */
function heldLog(lines: string[] = []) {
  const { bus, waiting } = held();
  const clock = createManualClock(0);
  const log = createImpressionLog(bus, quiet(lines), clock);
  const rejectAll = async () => {
    for (const { reject } of waiting.splice(0)) reject(outOfReach());
    await turn();
  };
  const resolveAll = async () => {
    for (const { resolve } of waiting.splice(0)) resolve(1);
    await turn();
  };
  return { log, clock, waiting, rejectAll, resolveAll };
}

test('impression log: an impression goes to the event log of its model', async () => {
  const bus = createMemoryBus();
  const log = createImpressionLog(bus, quiet(), createManualClock(0));
  const events: unknown[] = [];
  await bus.read('events', {
    subject: eventsSubject(modelNameFrom('ads')),
    from: 1,
    onMessage: ({ payload }) => void events.push(decodeEvent(payload)),
    onError: (error) => {
      throw error;
    },
  });
  log.write('ads', impression, keepMs);
  log.write('shop', impression, keepMs);
  await log.close();
  expect([events, log.lost]).toEqual([[impression], 0]);
});

test('impression log: what the log does not take is written once it can be reached, and an outage is told once', async () => {
  const lines: string[] = [];
  const { log, clock, waiting, rejectAll, resolveAll } = heldLog(lines);
  for (let i = 0; i < 3; i += 1) log.write('ads', impression, keepMs);
  await rejectAll();
  // Until the pause is over nothing is tried, and what comes meanwhile waits with the others.
  log.write('ads', impression, keepMs);
  expect([log.lost, waiting.length, lines.length]).toEqual([0, 0, 1]);
  clock.advanceBy(250);
  expect(waiting.length).toBe(4);
  await rejectAll();
  clock.advanceBy(250);
  await resolveAll();
  expect([log.lost, waiting.length, lines.length, clock.timersWaiting]).toEqual([0, 0, 1, 0]);
  log.write('ads', impression, keepMs);
  await rejectAll();
  expect(lines.length).toBe(2);
});

test('impression log: one that has waited for its time is lost, and so is one that no repetition helps', async () => {
  const { log, clock, waiting, rejectAll } = heldLog();
  log.write('ads', impression, keepMs);
  for (let waitedMs = 0; waitedMs < keepMs; waitedMs += 250) {
    await rejectAll();
    clock.advanceBy(250);
  }
  expect([log.lost, waiting.length]).toEqual([1, 0]);
  log.write('ads', impression, keepMs);
  waiting.splice(0)[0].reject(new MillraceError('MILL_BODY_TOO_LARGE', 'too large'));
  await turn();
  expect(log.lost).toBe(2);
});

test('impression log: beyond 2,048 on their way more wait, beyond 16,384 of those they are lost', async () => {
  const { log, waiting, resolveAll } = heldLog();
  for (let i = 0; i < 2_048 + 16_384 + 2; i += 1) log.write('ads', impression, keepMs);
  expect([log.lost, waiting.length]).toEqual([2, 2_048]);
  for (let round = 0; round < 9; round += 1) await resolveAll();
  expect([log.lost, waiting.length]).toEqual([2, 0]);
});

test('impression log: beyond 64 MiB of what waits they are lost', async () => {
  const { log, rejectAll } = heldLog();
  const large = { ...impression, user: { who: 'e'.repeat(1024 * 1024) } };
  log.write('ads', large, keepMs);
  await rejectAll();
  for (let i = 0; i < 64; i += 1) log.write('ads', large, keepMs);
  // Each is a little over 1 MiB, so 63 fit.
  expect(log.lost).toBe(2);
});

test('impression log: close: tries what waits once more, waits for all that are on their way, keeps nothing', async () => {
  const { log, waiting, rejectAll, resolveAll } = heldLog();
  log.write('ads', impression, keepMs);
  await rejectAll();
  log.write('ads', impression, keepMs);
  let closed = false;
  const closing = log.close().then(() => {
    closed = true;
  });
  expect(waiting.length).toBe(2);
  waiting.splice(0, 1)[0].reject(outOfReach());
  await turn();
  expect([closed, waiting.length]).toEqual([false, 1]);
  await resolveAll();
  await closing;
  expect(log.lost).toBe(1);
});
