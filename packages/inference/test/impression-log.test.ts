import { decodeEvent, eventsSubject, type Impression, modelNameFrom } from '@millrace/protocol';
import { type Bus, createLogger, createMemoryBus } from '@millrace/runtime';
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

test('impression log: an impression goes to the event log of its model', async () => {
  const bus = createMemoryBus();
  const log = createImpressionLog(bus, quiet());
  const events: unknown[] = [];
  await bus.read('events', {
    subject: eventsSubject(modelNameFrom('ads')),
    from: 1,
    onMessage: ({ payload }) => void events.push(decodeEvent(payload)),
    onError: (error) => {
      throw error;
    },
  });
  log.write('ads', impression);
  log.write('shop', impression);
  await log.settled();
  expect([events, log.lost]).toEqual([[impression], 0]);
});

test('impression log: one that the log does not take is lost and counted, and an outage is told once', async () => {
  const lines: string[] = [];
  const { bus, waiting } = held();
  const log = createImpressionLog(bus, quiet(lines));
  for (let i = 0; i < 3; i += 1) log.write('ads', impression);
  for (const { reject } of waiting.splice(0)) reject(new Error('out of reach'));
  await log.settled();
  expect([log.lost, lines.length]).toEqual([3, 1]);
  log.write('ads', impression);
  waiting.splice(0)[0].resolve(1);
  await log.settled();
  log.write('ads', impression);
  waiting.splice(0)[0].reject(new Error('out of reach again'));
  await log.settled();
  expect([log.lost, lines.length]).toEqual([4, 2]);
});

test('impression log: beyond 2,048 on their way, more are lost at once', async () => {
  const { bus, waiting } = held();
  const log = createImpressionLog(bus, quiet());
  for (let i = 0; i < 2_050; i += 1) log.write('ads', impression);
  expect([log.lost, waiting.length]).toEqual([2, 2_048]);
  waiting.splice(0, 1)[0].resolve(1);
  await new Promise((resolve) => setImmediate(resolve));
  log.write('ads', impression);
  expect([log.lost, waiting.length]).toEqual([2, 2_048]);
});

test('impression log: settled: waits for all that are on their way', async () => {
  const { bus, waiting } = held();
  const log = createImpressionLog(bus, quiet());
  log.write('ads', impression);
  log.write('ads', impression);
  let settled = false;
  const settling = log.settled().then(() => {
    settled = true;
  });
  waiting[0].resolve(1);
  await new Promise((resolve) => setImmediate(resolve));
  expect(settled).toBe(false);
  waiting[1].reject(new Error('lost'));
  await settling;
});
