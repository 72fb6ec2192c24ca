import {
  type BatchRecord,
  decodeBatchRecord,
  denseSubject,
  encodeBatchRecord,
  gradientsSubject,
  MillraceError,
} from '@millrace/protocol';
import {
  type Bus,
  createManualClock,
  createMemoryBus,
  type ManualClock,
  type MemoryBus,
} from '@millrace/runtime';
import { expect, test } from 'vitest';
import { type BatchPublisher, openBatchPublisher } from '../src/batch-publisher.ts';
import type { TrainedBatch } from '../src/trainer.ts';
import { messagesOn, model, quietLogger } from './small-model.ts';
import { type Fate, wireTo } from './wire.ts';

const record = (batch: number, change: Partial<BatchRecord> = {}): BatchRecord => ({
  producer: 'p',
  writer: 'w',
  batch,
  from: [0, 0, 0],
  to: [batch, 1, 0],
  joinFrom: 1,
  joinWatermarkMs: 0,
  previous: [0, 0, 0],
  previousDense: 0,
  learned: 0,
  positives: 0,
  ...change,
});

const trained = (n: number): TrainedBatch => ({
  blocks: [
    { partition: 0, bytes: Uint8Array.of(n, 0) },
    { partition: 2, bytes: Uint8Array.of(n, 2) },
  ],
  dense: Uint8Array.of(n, 9),
  lossSum: 0,
  unusable: 0,
  norms: null,
});

interface Stage {
  readonly real: MemoryBus;
  readonly clock: ManualClock;
  readonly publisher: BatchPublisher;
}

async function open(real = createMemoryBus(), fateOf?: (n: number, what: string) => Fate): Promise<Stage> {
  const clock = createManualClock(0);
  const { bus } = wireTo(real, fateOf);
  const publisher = await openBatchPublisher({
    bus,
    clock,
    logger: quietLogger,
    model,
    partitions: 3,
  });
  return { real, clock, publisher };
}

const stored = async (bus: Bus) => (await bus.kv('updaters')).get(model);
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Whether a promise is settled after everything that is due has run. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  promise.then(
    () => {
      settled = true;
    },
    () => {
      settled = true;
    },
  );
  await turn();
  return settled;
}

const payloads = async (bus: Bus, subject: string, log: 'gradients' | 'dense' = 'gradients') =>
  (await messagesOn(bus, log, subject)).map(({ payload }) => Array.from(payload));

test('batch publisher: finds the record that the last updater left, and where the logs end', async () => {
  const first = await open();
  expect([first.publisher.found, first.publisher.heads]).toEqual([null, { partitions: [0, 0, 0], dense: 0 }]);
  await first.publisher.record(record(1));
  await first.publisher.publish(record(1), trained(1));
  const second = await open(first.real);
  expect(second.publisher.found).toEqual(record(1));
  expect(second.publisher.heads).toEqual({ partitions: [1, 0, 2], dense: 1 });
});

test('batch publisher: record: written each time, over its own last one', async () => {
  const { real, publisher } = await open();
  for (const batch of [1, 2, 3]) {
    await publisher.record(record(batch));
    expect(decodeBatchRecord((await stored(real))!.value)).toEqual(record(batch));
  }
});

test('batch publisher: record: another writer in between means that the model was taken over', async () => {
  const { real, publisher } = await open();
  await publisher.record(record(1));
  const other = await open(real);
  await other.publisher.record(record(1));
  await expect(publisher.record(record(2))).rejects.toMatchObject({ code: 'MILL_FENCED' });
  expect(decodeBatchRecord((await stored(real))!.value)).toEqual(record(1));
  await other.publisher.record(record(2));
});

test('batch publisher: record: the first record of all is fenced as well', async () => {
  const real = createMemoryBus();
  const one = await open(real);
  const two = await open(real);
  await two.publisher.record(record(1, { joinFrom: 9 }));
  await expect(one.publisher.record(record(1))).rejects.toMatchObject({ code: 'MILL_FENCED' });
});

test('batch publisher: record: a write whose acknowledgement was lost is known for its own', async () => {
  const { real, clock, publisher } = await open(undefined, (n) => (n === 2 ? 'unacknowledged' : 'done'));
  await publisher.record(record(1));
  const writing = publisher.record(record(2));
  expect(await isSettled(writing)).toBe(false);
  clock.advanceBy(50);
  await writing;
  await publisher.record(record(3));
  expect(decodeBatchRecord((await stored(real))!.value)).toEqual(record(3));
});

test('batch publisher: record: out of reach, it tries again after 50 ms, then twice as long, at most 2 s', async () => {
  let tries = 0;
  const { clock, publisher } = await open(undefined, (n) => {
    tries = n;
    return n <= 9 ? 'fails' : 'done';
  });
  const writing = publisher.record(record(1));
  for (const pauseMs of [50, 100, 200, 400, 800, 1_600, 2_000, 2_000, 2_000]) {
    expect(await isSettled(writing)).toBe(false);
    const before = tries;
    clock.advanceBy(pauseMs - 1);
    await turn();
    expect(tries).toBe(before);
    clock.advanceBy(1);
    await turn();
    expect(tries).toBe(before + 1);
  }
  await writing;
  expect(tries).toBe(10);
});

test('batch publisher: publish: every block to its partition, the dense one to its log, and heads follow', async () => {
  const { real, publisher } = await open();
  await publisher.publish(record(1), trained(1));
  await publisher.publish(record(2), { ...trained(2), dense: null });
  expect(await payloads(real, gradientsSubject(model, 0))).toEqual([
    [1, 0],
    [2, 0],
  ]);
  expect(await payloads(real, gradientsSubject(model, 1))).toEqual([]);
  expect(await payloads(real, gradientsSubject(model, 2))).toEqual([
    [1, 2],
    [2, 2],
  ]);
  expect(await payloads(real, denseSubject(model), 'dense')).toEqual([[1, 9]]);
  expect(publisher.heads).toEqual({ partitions: [3, 0, 4], dense: 1 });
});

test('batch publisher: publish: over when every block is acknowledged, each tried until it is', async () => {
  const { real, clock, publisher } = await open(undefined, (n, what) => {
    if (what.endsWith('.2') && n <= 6) return 'fails';
    return what === denseSubject(model) && n <= 3 ? 'unacknowledged' : 'done';
  });
  const publishing = publisher.publish(record(1), trained(1));
  expect(await isSettled(publishing)).toBe(false);
  expect(publisher.heads.partitions).toEqual([1, 0, 0]);
  for (let i = 0; i < 4; i += 1) {
    clock.advanceBy(400);
    await turn();
  }
  await publishing;
  expect(await payloads(real, gradientsSubject(model, 2))).toEqual([[1, 2]]);
  // Stored twice, since the first acknowledgement was lost; the fold knows the repeat by its sequence.
  expect(await payloads(real, denseSubject(model), 'dense')).toEqual([
    [1, 9],
    [1, 9],
  ]);
  expect(publisher.heads).toEqual({ partitions: [1, 0, 2], dense: 2 });
});

test('batch publisher: publish: a repeat within the server’s memory is stored once', async () => {
  const real = createMemoryBus();
  const publisher = await openBatchPublisher({
    bus: real,
    clock: createManualClock(0),
    logger: quietLogger,
    model,
    partitions: 3,
  });
  await publisher.publish(record(1), trained(1));
  await publisher.publish(record(1), trained(1));
  expect(await payloads(real, gradientsSubject(model, 0))).toEqual([[1, 0]]);
  // Another batch with the same bytes is another message.
  await publisher.publish(record(2), trained(1));
  expect((await payloads(real, gradientsSubject(model, 0))).length).toBe(2);
});

test('batch publisher: an error that a second try cannot mend is thrown at once', async () => {
  const real = createMemoryBus();
  const bent: Bus = Object.create(real);
  bent.kv = (bucket) => real.kv(bucket);
  bent.headOf = (log, subject) => real.headOf(log, subject);
  bent.append = () => Promise.reject(new MillraceError('MILL_BODY_TOO_LARGE', 'a message has at most 4 MiB'));
  const clock = createManualClock(0);
  const publisher = await openBatchPublisher({ bus: bent, clock, logger: quietLogger, model, partitions: 3 });
  await expect(publisher.publish(record(1), trained(1))).rejects.toMatchObject({
    code: 'MILL_BODY_TOO_LARGE',
  });
  expect(clock.timersWaiting).toBe(0);
});

test('batch publisher: close: what cannot be stored now is not tried again', async () => {
  const { clock, publisher } = await open(undefined, () => 'fails');
  const writing = publisher.record(record(1));
  writing.catch(() => {});
  await turn();
  publisher.close();
  clock.advanceBy(50);
  await expect(writing).rejects.toMatchObject({ code: 'MILL_LOG_UNAVAILABLE' });
  await expect(publisher.record(record(1))).rejects.toMatchObject({ code: 'MILL_LOG_UNAVAILABLE' });
});

test('batch publisher: a record that cannot be read is an error, not a fresh start', async () => {
  const real = createMemoryBus();
  const bytes = encodeBatchRecord(record(3)).slice(0, 20);
  await (await real.kv('updaters')).put(model, bytes);
  await expect(open(real)).rejects.toMatchObject({ code: 'MILL_RECORD_INVALID' });
});
