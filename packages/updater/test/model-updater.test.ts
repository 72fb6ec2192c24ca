import type { RowSource } from '@millrace/client';
import { type JoinerOptions, joinerOptionsOf } from '@millrace/joiner';
import {
  comparePlaces,
  decodeBatchRecord,
  decodeEvent,
  decodeHeads,
  type Event,
  encodeEvent,
  eventsSubject,
  headsSubject,
  type LogHeads,
  MillraceError,
  type ModelFile,
} from '@millrace/protocol';
import {
  type Bus,
  createManualClock,
  createMemoryBus,
  type ManualClock,
  type MemoryBus,
} from '@millrace/runtime';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { fold, impression, outcome, tick } from '../../joiner/test/event-logs.ts';
import { type ModelUpdater, type ModelUpdaterOptions, startModelUpdater } from '../src/model-updater.ts';
import {
  file,
  learnedFrom,
  messagesOn,
  model,
  openShard,
  quietLogger,
  type Shard,
  wantedFrom,
} from './small-model.ts';
import { type Fate, type Wire, wireTo } from './wire.ts';

type Negatives = JoinerOptions['negatives'];

const subject = eventsSubject(model);
const turn = () => new Promise((resolve) => setImmediate(resolve));
const fail = (error: Error) => {
  throw error;
};

const fileOf = (negatives: Negatives): ModelFile => ({ ...file, learning: { ...file.learning, negatives } });

interface Stage {
  readonly real: MemoryBus;
  readonly clock: ManualClock;
  readonly shard: Shard;
  append(...events: readonly (Event | Uint8Array)[]): Promise<void>;
  start(options?: Partial<ModelUpdaterOptions>, of?: ModelFile): Promise<ModelUpdater>;
}

async function openStage(startMs = 1_000): Promise<Stage> {
  const real = createMemoryBus();
  const clock = createManualClock(startMs);
  const shard = await openShard(real);
  return {
    real,
    clock,
    shard,
    async append(...events) {
      for (const event of events) {
        await real.append('events', subject, event instanceof Uint8Array ? event : encodeEvent(event));
      }
    },
    start: (options, of = file) =>
      startModelUpdater(of, {
        bus: real,
        clock,
        logger: quietLogger,
        rows: shard,
        engine: 'plain',
        batchExamplesMax: 3,
        drive: 'manual',
        writer: 'one',
        archive: null,
        snapshotEveryMs: 0,
        snapshotChains: 2,
        onFailed: fail,
        ...options,
      }),
  };
}

/** What the event log, as it is, must have taught: whoever folds it. */
async function wantedOf(real: MemoryBus, negatives: Negatives) {
  const log = (await messagesOn(real, 'events', subject)).flatMap(({ sequence, payload }) => {
    try {
      return [{ sequence, event: decodeEvent(payload) }];
    } catch {
      return [];
    }
  });
  const joining = joinerOptionsOf(fileOf(negatives));
  const { examples } = fold(log, joining);
  return { examples, ...(await wantedFrom(examples)) };
}

/** Every example of the event log was learned, and none twice: for each key, and for the dense weights. */
async function expectLearnedOnce(real: MemoryBus, negatives: Negatives): Promise<void> {
  const wanted = await wantedOf(real, negatives);
  const learned = await learnedFrom(real);
  expect([...learned.gradients.keys()].sort()).toEqual([...wanted.gradients.keys()].sort());
  for (const [key, gradient] of wanted.gradients) expect(learned.gradients.get(key)).toBeCloseTo(gradient, 5);
  wanted.dense.forEach((gradient, i) => {
    expect(learned.dense[i]).toBeCloseTo(gradient, 4);
  });
  const record = decodeBatchRecord((await (await real.kv('updaters')).get(model))!.value);
  // Each batch once, in order.
  expect(learned.denseBatches).toEqual(Array.from({ length: record.batch }, (_, i) => i + 1));
}

/** Steps of a small life: `null` learns what is complete. Repeats, early clicks, late ones, a reused id, quiet times. */
const life: readonly (Event | null)[] = [
  impression('r1', 1_000, 2),
  impression('r2', 1_005),
  outcome('r1', 0),
  null,
  outcome('r1', 0),
  outcome('r3', 1),
  impression('r3', 1_030, 3),
  impression('r1', 1_040, 2),
  outcome('r2', 0, 0),
  null,
  tick(1_099),
  tick(1_100),
  null,
  outcome('r1', 1),
  impression('r4', 1_120, 4),
  outcome('r4', 2),
  tick(1_145),
  null,
  null,
  impression('r2', 1_150),
  outcome('r9'),
  outcome('r4', 2),
  tick(1_190),
  outcome('r4', 0),
  null,
  tick(1_260),
  impression('r5', 1_300, 5),
  null,
  outcome('r5', 4),
  tick(1_400),
  null,
];

interface Lived {
  readonly real: MemoryBus;
  readonly last: ModelUpdater;
  readonly wires: readonly Wire[];
}

/** Lives it; whenever the updater's process dies, another one starts on the wire of the next fates and goes on. */
async function live(
  negatives: Negatives,
  fates: readonly ((n: number, what: string) => Fate)[],
): Promise<Lived> {
  const stage = await openStage();
  const wires: Wire[] = [];
  let updater: ModelUpdater | null = null;
  const ensure = async (): Promise<ModelUpdater> => {
    const wire = wireTo(stage.real, fates[wires.length]);
    wires.push(wire);
    return stage.start({ bus: wire.bus }, fileOf(negatives));
  };
  const learn = async () => {
    for (;;) {
      updater ??= await ensure();
      const wire = wires[wires.length - 1];
      const flushed = updater.flush().then(() => 'flushed');
      // Pauses between tries end when the clock is moved.
      let over: string | null = null;
      void Promise.race([flushed, wire.died]).then((word) => {
        over = word;
      });
      for (let i = 0; over === null; i += 1) {
        await turn();
        if (i > 20) stage.clock.advanceBy(100);
      }
      if (over === 'flushed') return;
      updater = null;
    }
  };
  for (const step of life) {
    if (step) await stage.append(step);
    else await learn();
  }
  return { real: stage.real, last: updater!, wires };
}

const bothNegatives: readonly Negatives[] = ['after-window', 'at-once'];

test.each(bothNegatives)('model updater: %s: every example is learned once', async (negatives) => {
  const { real, last, wires } = await live(negatives, []);
  await expectLearnedOnce(real, negatives);
  const { examples } = await wantedOf(real, negatives);
  expect(last.counters).toMatchObject({
    batches: expect.any(Number),
    learned: examples.filter(({ shown }) => shown === 1).length,
    positives: examples.filter(({ clicked }) => clicked === 1).length,
    duplicateOutcomes: 2,
    invalidEvents: 0,
  });
  expect([examples.length > 15, last.counters.batches > 6, wires.length]).toEqual([true, true, 1]);
  await last.close();
});

test.each(bothNegatives)(
  'model updater: %s: died at any write, before or after it was stored, a restart counts each example once',
  async (negatives) => {
    const { wires } = await live(negatives, []);
    const { writes } = wires[0];
    expect(writes).toBeGreaterThan(25);
    for (let n = 1; n <= writes; n += 1) {
      for (const fate of ['dies-before', 'dies-after'] as const) {
        const lived = await live(negatives, [(write) => (write === n ? fate : 'done')]);
        expect(lived.wires.length, `${fate} write ${n}`).toBe(2);
        await expectLearnedOnce(lived.real, negatives);
      }
    }
  },
  30_000,
);

test('model updater: died again and again, with a server that forgets to answer, each example counts once', async () => {
  const fate = fc.constantFrom<Fate>('done', 'done', 'done', 'fails', 'unacknowledged');
  const process = fc.record({
    diesAt: fc.integer({ min: 1, max: 20 }),
    last: fc.constantFrom<Fate>('dies-before', 'dies-after'),
    fates: fc.array(fate, { maxLength: 40 }),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...bothNegatives),
      fc.array(process, { maxLength: 5 }),
      async (negatives, processes) => {
        const fates = processes.map(
          ({ diesAt, last, fates }) =>
            (n: number) =>
              n === diesAt ? last : (fates[n - 1] ?? 'done'),
        );
        const { real } = await live(negatives, fates);
        await expectLearnedOnce(real, negatives);
      },
    ),
    { numRuns: 25 },
  );
}, 30_000);

test('model updater: records: ranges join, batches ascend, and examples lie where the record says', async () => {
  const records: ReturnType<typeof decodeBatchRecord>[] = [];
  const stage = await openStage();
  const kv = await stage.real.kv('updaters');
  await kv.watch((change) => {
    if (change.kind === 'put') records.push(decodeBatchRecord(change.entry.value));
  });
  const updater = await stage.start();
  for (const step of life) {
    if (step) await stage.append(step);
    else await updater.flush();
  }
  const { examples } = await wantedOf(stage.real, 'after-window');
  let learned = 0;
  records.forEach((record, i) => {
    expect([record.batch, record.learned]).toEqual([i + 1, learned]);
    expect(record.from).toEqual(i === 0 ? [0, 0, 0] : records[i - 1].to);
    const inside = examples.filter(
      ({ place }) => comparePlaces(place, record.from) > 0 && comparePlaces(place, record.to) <= 0,
    );
    expect(inside.length).toBeGreaterThan(0);
    expect(inside.length).toBeLessThanOrEqual(3);
    learned += inside.length;
    // A fold from there finds the batch again.
    expect(record.joinFrom).toBeLessThanOrEqual(Math.min(...inside.map(({ place }) => place[1])));
  });
  expect(learned).toBe(examples.length);
  await updater.close();
});

test('model updater: close: learns what is complete; the next one publishes the newest batch once more', async () => {
  const stage = await openStage();
  const { bus } = wireTo(stage.real);
  const first = await stage.start({ bus });
  await stage.append(impression('r', 1_000, 2), outcome('r', 1));
  await first.close();
  await expectLearnedOnce(stage.real, 'after-window');
  await stage.append(tick(1_100));
  const second = await stage.start({ bus });
  await second.flush();
  // For all that it knows, the newest record may be half published. One partition's block and the dense one.
  expect((await learnedFrom(stage.real)).repeats).toBe(2);
  await expectLearnedOnce(stage.real, 'after-window');
  expect(second.counters).toMatchObject({ batches: 2, learned: 2, positives: 1 });
  await second.close();
});

test('model updater: two of them: the older one stops, whatever it was about to do', async () => {
  const stage = await openStage();
  const older = await stage.start();
  await stage.append(impression('r', 1_000, 2), outcome('r', 0));
  await older.flush();
  const newer = await stage.start();
  await newer.flush();
  await stage.append(tick(1_100));
  await expect(older.flush()).rejects.toMatchObject({ code: 'MILL_FENCED' });
  await expect(older.flush()).rejects.toMatchObject({ code: 'MILL_FENCED' });
  await newer.flush();
  await expectLearnedOnce(stage.real, 'after-window');
  await older.close();
  await newer.close();
});

test('model updater: two of them: that start together and cut alike are not taken for one', async () => {
  const stage = await openStage();
  const one = await stage.start({ writer: 'one' });
  const two = await stage.start({ writer: 'two' });
  await stage.append(impression('r', 1_000, 2), outcome('r', 0), outcome('r', 1));
  await one.flush();
  await expect(two.flush()).rejects.toMatchObject({ code: 'MILL_FENCED' });
  await expectLearnedOnce(stage.real, 'after-window');
  expect((await learnedFrom(stage.real)).repeats).toBe(0);
  await one.close();
  await two.close();
});

test('model updater: two of them: blocks that the older one sends late change nothing', async () => {
  const stage = await openStage();
  const held: (() => void)[] = [];
  let holds = false;
  const slow: Bus = wireTo(stage.real).bus;
  const older = await stage.start({
    bus: {
      ...slow,
      async append(log, of, payload) {
        if (holds) await new Promise<void>((resolve) => held.push(resolve));
        return slow.append(log, of, payload);
      },
    },
  });
  await stage.append(impression('r', 1_000, 3), outcome('r', 0));
  await older.flush();
  holds = true;
  await stage.append(outcome('r', 1), outcome('r', 2));
  const late = older.flush();
  late.catch(() => {});
  while (held.length === 0) await turn();
  // Its record stands, none of its blocks does. Another one takes over, learns that batch and two more.
  const newer = await stage.start({ bus: slow });
  await newer.flush();
  await stage.append(impression('s', 1_050), outcome('s'));
  await newer.flush();
  await stage.append(impression('t', 1_050), outcome('t'));
  await newer.flush();
  for (const release of held) release();
  // Its next batch would hold both examples that the other one took one by one.
  await expect(late).rejects.toMatchObject({ code: 'MILL_FENCED' });
  expect((await learnedFrom(stage.real)).repeats).toBe(held.length);
  await expectLearnedOnce(stage.real, 'after-window');
  await older.close();
  await newer.close();
});

test('model updater: events that cannot be read are counted, told and passed over', async () => {
  const stage = await openStage();
  const heads: LogHeads[] = [];
  stage.real.onNotice(headsSubject(model), (payload) => heads.push(decodeHeads(payload)));
  const updater = await stage.start();
  await stage.append(
    Uint8Array.of(1, 2, 3),
    impression('r', 1_000),
    new TextEncoder().encode('{"type":"outcome","requestId":"r","timeMs":5,"value":-7}'),
    new TextEncoder().encode('{"type":"outcome","requestId":"r","timeMs":5}'),
  );
  await updater.flush();
  expect(updater.counters).toMatchObject({ invalidEvents: 2, learned: 1, positives: 1 });
  expect(heads.flatMap(({ counters }) => counters.rejections)).toMatchObject([
    { code: 'MILL_EVENT_INVALID', requestId: '' },
    { code: 'MILL_EVENT_INVALID', requestId: '' },
  ]);
  await expectLearnedOnce(stage.real, 'after-window');
  await updater.close();
});

test('model updater: outcomes that fit nothing are told once, also over a restart', async () => {
  const stage = await openStage();
  const told: string[] = [];
  stage.real.onNotice(headsSubject(model), (payload) => {
    for (const { requestId, code } of decodeHeads(payload).counters.rejections)
      told.push(`${requestId} ${code}`);
  });
  const first = await stage.start();
  await stage.append(outcome('nobody'), impression('r', 1_000), tick(1_050), tick(1_100), outcome('r', 5));
  await stage.append(impression('s', 1_190), outcome('s'), tick(1_210));
  await first.flush();
  expect(told).toEqual(['nobody MILL_IMPRESSION_UNKNOWN']);
  await first.close();
  const second = await stage.start();
  await stage.append(tick(1_320));
  await second.flush();
  // The late one for "r" waited its window, and was refused by the second updater.
  expect(told).toEqual(['nobody MILL_IMPRESSION_UNKNOWN', 'r MILL_IMPRESSION_UNKNOWN']);
  await second.close();
});

test('model updater: at most 20 rejections are told at once, the newest', async () => {
  const stage = await openStage();
  const heads: LogHeads[] = [];
  stage.real.onNotice(headsSubject(model), (payload) => heads.push(decodeHeads(payload)));
  const updater = await stage.start();
  await stage.append(...Array.from({ length: 30 }, (_, i) => outcome(`x${i}`)), tick(1_000), tick(1_100));
  await stage.append(impression('r', 1_100), outcome('r'));
  await updater.flush();
  expect(heads.map(({ counters }) => counters.rejections.map(({ requestId }) => requestId))).toEqual([
    Array.from({ length: 20 }, (_, i) => `x${i + 10}`),
  ]);
  expect(updater.counters.rejectedOutcomes).toBe(30);
  await updater.close();
});

test('model updater: NATS out of reach for a while: nothing is lost and nothing counts twice', async () => {
  const outage = (n: number): Fate => (n > 3 && n < 40 ? (n % 3 === 0 ? 'unacknowledged' : 'fails') : 'done');
  for (const negatives of bothNegatives) {
    const { real, wires, last } = await live(negatives, [outage]);
    expect([wires.length, wires[0].writes > 60]).toEqual([1, true]);
    await expectLearnedOnce(real, negatives);
    await last.close();
  }
});

test('model updater: rows out of reach for a while: training waits, and never trains on first values', async () => {
  const stage = await openStage();
  let refusals = 0;
  const rows: RowSource = {
    pull(request) {
      expect(request.onAbsent).toBe('fail');
      refusals += 1;
      if (refusals > 6) return stage.shard.pull(request);
      const code = refusals % 2 === 0 ? 'MILL_SHARD_UNAVAILABLE' : 'MILL_NOT_READY';
      return Promise.reject(new MillraceError(code, 'nobody answers'));
    },
  };
  const updater = await stage.start({ rows });
  await stage.append(impression('r', 1_000, 2), outcome('r', 0), outcome('r', 1));
  let done = false;
  const flushing = updater.flush().then(() => {
    done = true;
  });
  for (const pauseMs of [50, 100, 200, 400, 800, 1_600]) {
    await turn();
    expect(done).toBe(false);
    stage.clock.advanceBy(pauseMs);
  }
  await flushing;
  await expectLearnedOnce(stage.real, 'after-window');
  await updater.close();
});

test('model updater: a table that changed under it is an error, not a wait', async () => {
  const stage = await openStage();
  const rows: RowSource = {
    pull: () => Promise.reject(new MillraceError('MILL_DIM_MISMATCH', 'rows must have 1 float')),
  };
  const updater = await stage.start({ rows });
  await stage.append(impression('r', 1_000), outcome('r'));
  await expect(updater.flush()).rejects.toMatchObject({ code: 'MILL_DIM_MISMATCH' });
  expect((await learnedFrom(stage.real)).gradients.size).toBe(0);
  await updater.close();
});

test('model updater: heads: told after each batch, with the newest sequence of each log', async () => {
  const stage = await openStage();
  const heads: LogHeads[] = [];
  stage.real.onNotice(headsSubject(model), (payload) => heads.push(decodeHeads(payload)));
  const updater = await stage.start();
  await stage.append(impression('r', 1_000, 5), ...[0, 1, 2, 3, 4].map((index) => outcome('r', index)));
  await updater.flush();
  expect(heads.map(({ counters }) => counters.learned)).toEqual([3, 5]);
  const states = stage.shard.states.map(({ sequence }) => sequence);
  expect(heads[1]).toMatchObject({ model: 'ads', timeMs: 1_000, partitions: states, dense: 2 });
  await updater.close();
});

test('model updater: more complete examples than it queues: the log is read on as they are learned', async () => {
  const stage = await openStage();
  const updater = await stage.start({ batchExamplesMax: 1_000 }, fileOf('at-once'));
  const events = Array.from({ length: 25 }, (_, i) => impression(`r${i}`, 1_000 + i, 1_000));
  const appended = stage.append(...events);
  await appended;
  expect(updater.counters.openImpressions).toBeLessThan(25);
  const held = updater.counters.openImpressions;
  expect(held).toBeGreaterThanOrEqual(20);
  await updater.flush();
  await stage.real.settle();
  await updater.flush();
  expect(updater.counters).toMatchObject({ openImpressions: 25, learned: 25_000 });
  await updater.close();
}, 20_000);

interface Timed extends Stage {
  readonly updater: ModelUpdater;
  readonly heads: LogHeads[];
  /** Moves the clock on in steps of 5 ms, and lets what it sets off happen. */
  pass(ms: number): Promise<void>;
  ticks(): Promise<number>;
}

async function openTimed(of: ModelFile = file): Promise<Timed> {
  const stage = await openStage(1_000);
  const heads: LogHeads[] = [];
  stage.real.onNotice(headsSubject(model), (payload) => heads.push(decodeHeads(payload)));
  const updater = await stage.start({ drive: 'timers', batchExamplesMax: 3, batchDelayMs: 20 }, of);
  onTestFinished(() => updater.close());
  return {
    ...stage,
    updater,
    heads,
    async pass(ms) {
      for (let passed = 0; passed < ms; passed += 5) {
        stage.clock.advanceBy(5);
        await turn();
      }
      for (let i = 0; i < 10; i += 1) await turn();
    },
    async ticks() {
      const events = await messagesOn(stage.real, 'events', subject);
      return events.filter(({ payload }) => decodeEvent(payload).type === 'tick').length;
    },
  };
}

test('model updater: timers: a batch leaves when its first example has waited, or at once when it is full', async () => {
  const { append, pass, updater } = await openTimed();
  await append(impression('r', 1_000, 4), outcome('r', 0));
  await pass(15);
  expect(updater.counters.learned).toBe(0);
  await pass(5);
  expect(updater.counters.learned).toBe(1);
  await append(outcome('r', 1), outcome('r', 2), outcome('r', 3));
  await pass(0);
  // A full batch waits for nothing but its timer of 0 ms.
  await pass(5);
  expect(updater.counters).toMatchObject({ learned: 4, batches: 2 });
});

test('model updater: timers: while impressions wait and nothing comes, a tick a second closes their windows', async () => {
  const { append, pass, updater, ticks } = await openTimed();
  await append(impression('r', 1_000, 2));
  await pass(900);
  expect([await ticks(), updater.counters.openImpressions]).toEqual([0, 1]);
  await pass(400);
  expect([await ticks(), updater.counters]).toMatchObject([1, { openImpressions: 0, learned: 2 }]);
  // Nothing waits any more, so time need not be told.
  await pass(5_000);
  expect(await ticks()).toBe(1);
});

test('model updater: timers: heads are told four times a second when nothing happens', async () => {
  const { pass, heads } = await openTimed();
  await pass(1_000);
  expect(heads.map(({ timeMs }) => timeMs)).toEqual([1_250, 1_500, 1_750, 2_000]);
});

test('model updater: timers: an unfinished batch of the updater before is published anew by itself', async () => {
  const stage = await openStage();
  // Dies at its first block: the record stands, and nothing else.
  const wire = wireTo(stage.real, (n) => (n === 2 ? 'dies-before' : 'done'));
  const first = await stage.start({ bus: wire.bus });
  await stage.append(impression('r', 1_000, 2), outcome('r', 0), outcome('r', 1));
  void first.flush();
  await wire.died;
  const second = await stage.start({ drive: 'timers' });
  for (let i = 0; i < 100; i += 1) {
    stage.clock.advanceBy(5);
    await turn();
  }
  await expectLearnedOnce(stage.real, 'after-window');
  await second.close();
  expect(second.counters).toMatchObject({ batches: 1, learned: 2 });
});

test('model updater: timers: close leaves none', async () => {
  const stage = await openStage();
  const updater = await stage.start({ drive: 'timers' });
  await stage.append(impression('r', 1_000), outcome('r'));
  await updater.close();
  expect(stage.clock.timersWaiting).toBe(0);
  await expectLearnedOnce(stage.real, 'after-window');
});

/** Eleven impressions that are 22,000 examples at once, more than wait for batches of the usual size. */
const crowd = Array.from({ length: 11 }, (_, i) => impression(`r${i}`, 1_000, 2_000));

test('model updater: a batch larger than the queue is one step all the same', async () => {
  const { append, start } = await openStage();
  const updater = await start({ batchExamplesMax: 22_000 }, fileOf('at-once'));
  await append(...crowd);
  await updater.flush();
  expect(updater.counters).toMatchObject({ batches: 1, learned: 22_000 });
  await updater.close();
});

test('model updater: a large unfinished batch is found again by an updater whose batches are small', async () => {
  const stage = await openStage();
  const wire = wireTo(stage.real, (n) => (n === 2 ? 'dies-before' : 'done'));
  const first = await stage.start({ bus: wire.bus, batchExamplesMax: 22_000 }, fileOf('at-once'));
  await stage.append(...crowd);
  void first.flush();
  await wire.died;
  const second = await stage.start({}, fileOf('at-once'));
  await second.flush();
  expect(second.counters).toMatchObject({ batches: 1, learned: 22_000 });
  await second.close();
});
