/** A shard that answers late or never, and what its answers may still do. */
import { expect, test } from 'vitest';
import type { HedgeEvent } from '../src/part-asker.ts';
import type { PullClientOptions } from '../src/pull-client.ts';
import type { PullRequest } from '../src/row-source.ts';
import { type FrozenPort, openFrozenPort } from './frozen-port.ts';
import {
  allPartitions,
  both,
  even,
  keysOf,
  marksOf,
  odd,
  onEven,
  openStage,
  openTwins,
  requestOf,
  requestTimeoutMs,
  type ServedShard,
  type Stage,
  serve,
  steppedRows,
} from './pull-stage.ts';

const evenKeys = (count: number) =>
  keysOf(2 * count + 20)
    .filter((_, i, keys) => onEven(keys, i))
    .slice(0, 2 * count);
const firstMarks = (request: PullRequest) =>
  marksOf(request).map(([partition, sequence]) => sequence - partition);

interface HedgedStage extends Stage {
  readonly a: ServedShard;
  readonly b: ServedShard;
  /** The way to "a", which is asked for the even partitions. */
  readonly way: FrozenPort;
  readonly events: HedgeEvent[];
}

/** Twins, "a" behind a way that can freeze; both have answered often enough that their p95 is known: 0 by this clock. */
async function openHedged(change: Partial<PullClientOptions> = {}): Promise<HedgedStage> {
  const events: HedgeEvent[] = [];
  const stage = await openTwins({ onHedge: (event) => events.push(event), ...change });
  const way = await openFrozenPort(stage.a.port);
  await stage.lease('a', way.port);
  const keys = keysOf(40);
  await Promise.all(Array.from({ length: 100 }, () => stage.client.pull(requestOf(keys))));
  expect(events).toEqual([]);
  return { ...stage, way, events };
}

/** Pulls, and lets `ms` pass while the answers are under way. */
async function pullAfter(stage: Stage, request: PullRequest, ms: number): Promise<unknown> {
  const pulling = stage.client.pull(request);
  stage.clock.advanceBy(ms);
  return pulling;
}

test('hedging: a part that takes longer than usual is asked of the other holder, after a millisecond at least', async () => {
  const stage = await openHedged();
  stage.way.freeze();
  const request = requestOf(evenKeys(30));
  const before = stage.b.pulled();
  expect(await pullAfter(stage, request, 1)).toEqual({ degraded: false });
  expect(Array.from(request.out)).toEqual(steppedRows(request));
  expect([stage.b.pulled() - before, stage.events]).toEqual([30, ['asked', 'won']]);
  // Each partition is noted once, with the sequence that its rows have.
  const touched = new Set(even.filter((partition) => marksOf(request).some(([p]) => p === partition)));
  expect([request.marks.count, ...new Set(firstMarks(request))]).toEqual([touched.size, 100]);
});

test('hedging: the loser writes nothing, however late its answer comes', async () => {
  const stage = await openHedged();
  stage.way.freeze();
  const request = requestOf(evenKeys(30));
  await pullAfter(stage, request, 1);
  const marked = request.marks.count;
  request.out.fill(Number.NaN);
  stage.way.thaw();
  // Answers of one shard come in order: when this one is there, so is the late one.
  const before = stage.a.pulled();
  const next = requestOf(evenKeys(5));
  await stage.client.pull(next);
  expect([Array.from(next.out), stage.a.pulled() - before]).toEqual([steppedRows(next), 35]);
  expect([request.out.every(Number.isNaN), request.marks.count]).toEqual([true, marked]);
  expect(stage.events).toEqual(['asked', 'won']);
});

test('hedging: the first to answer may be the shard that was asked first, and the other one writes nothing', async () => {
  const stage = await openStage({ onHedge: () => {} });
  const learned = keysOf(3_000);
  const a = await serve({ shard: 'a', held: allPartitions, learned });
  const b = await serve({ shard: 'b', held: allPartitions, learned });
  const [toA, toB] = [await openFrozenPort(a.port), await openFrozenPort(b.port)];
  await stage.lease('a', toA.port);
  await stage.lease('b', toB.port);
  await stage.map(1, ['a', 'b'], both);
  await Promise.all(Array.from({ length: 100 }, () => stage.client.pull(requestOf(keysOf(40)))));
  toA.freeze();
  toB.freeze();
  const request = requestOf(evenKeys(30));
  const pulling = stage.client.pull(request);
  stage.clock.advanceBy(1);
  toA.thaw();
  expect(await pulling).toEqual({ degraded: false });
  expect(Array.from(request.out)).toEqual(steppedRows(request));
  const marked = request.marks.count;
  request.out.fill(Number.NaN);
  toB.thaw();
  const before = b.pulled();
  await stage.client.pull(requestOf(keysOf(40)));
  expect(b.pulled() - before).toBeGreaterThan(30);
  expect([request.out.every(Number.isNaN), request.marks.count]).toEqual([true, marked]);
});

test('hedging: before the p95 is known, and where it is switched off, nobody is asked twice', async () => {
  const off = await openHedged({ hedge: false });
  const young = await openTwins({ onHedge: (event) => off.events.push(event) });
  const way = await openFrozenPort(young.a.port);
  await young.lease('a', way.port);
  for (let i = 0; i < 99; i += 1) await young.client.pull(requestOf(evenKeys(2)));
  for (const [stage, frozen] of [
    [off, off.way],
    [young, way],
  ] as const) {
    frozen.freeze();
    const before = stage.b.pulled();
    const pulling = stage.client.pull(requestOf(evenKeys(5)));
    stage.clock.advanceBy(requestTimeoutMs - 1);
    frozen.thaw();
    expect(await pulling).toEqual({ degraded: false });
    expect(stage.b.pulled()).toBe(before);
  }
  expect(off.events).toEqual([]);
});

test('hedging: a shard that lost three times in a row is passed over, longer each time that it is still silent', async () => {
  const stage = await openHedged();
  stage.way.freeze();
  const ask = (ms: number) => pullAfter(stage, requestOf(evenKeys(5)), ms);
  const elapse = async (ms: number) => {
    for (let left = ms; left > 0; left -= 1_000) {
      stage.clock.advanceBy(Math.min(left, 1_000));
      await stage.lease('a', stage.way.port);
      await stage.lease('b', stage.b.port);
    }
  };
  for (let i = 0; i < 3; i += 1) await ask(1);
  expect(stage.events.length).toBe(6);
  // No time passes: the other one is asked at once.
  for (const silentMs of [50, 100, 200, 400, 800, 1_600, 3_200, 4_000, 4_000]) {
    stage.events.length = 0;
    expect(await ask(0)).toEqual({ degraded: false });
    await elapse(silentMs - 1);
    expect(await ask(0)).toEqual({ degraded: false });
    expect(stage.events).toEqual([]);
    await elapse(1);
    for (let i = 0; i < 3; i += 1) await ask(1);
    expect(stage.events.length).toBe(6);
    // What pays for the next three.
    for (let i = 0; i < 60; i += 1) await ask(0);
  }
});

test('hedging: one answer in time, and losing begins to count anew', async () => {
  const stage = await openHedged();
  for (let round = 0; round < 4; round += 1) {
    stage.way.freeze();
    for (let i = 0; i < 2; i += 1) await pullAfter(stage, requestOf(evenKeys(5)), 1);
    stage.way.thaw();
    const before = stage.a.pulled();
    await stage.client.pull(requestOf(evenKeys(5)));
    expect(stage.a.pulled() - before).toBe(15);
  }
});

test('hedging: a slow cluster is not asked twice for everything', async () => {
  const stage = await openHedged();
  const wayB = await openFrozenPort(stage.b.port);
  await stage.lease('b', wayB.port);
  await Promise.all(Array.from({ length: 100 }, () => stage.client.pull(requestOf(keysOf(40)))));
  stage.way.freeze();
  wayB.freeze();
  const pulls = Array.from({ length: 200 }, () => stage.client.pull(requestOf(keysOf(40))));
  for (let ms = 0; ms < requestTimeoutMs / 2; ms += 1) stage.clock.advanceBy(1);
  // Of 400 parts that wait: what can be saved, and no more.
  expect(stage.events).toEqual(Array.from({ length: 32 }, () => 'asked'));
  stage.way.thaw();
  wayB.thaw();
  for (const outcome of await Promise.all(pulls)) expect(outcome).toEqual({ degraded: false });
});

/** "a" is asked for everything; "b" could answer for one half of it, "c" for the other. */
async function openSplit(events: HedgeEvent[]) {
  const stage = await openStage({ onHedge: (event) => events.push(event) });
  const learned = keysOf(3_000);
  const a = await serve({ shard: 'a', held: allPartitions, learned });
  const b = await serve({ shard: 'b', held: even, learned });
  const c = await serve({ shard: 'c', held: odd, learned });
  const [toA, toC] = [await openFrozenPort(a.port), await openFrozenPort(c.port)];
  await stage.lease('a', toA.port);
  await stage.lease('b', b.port, even);
  await stage.lease('c', toC.port, odd);
  await stage.map(
    1,
    ['a', 'b', 'c'],
    allPartitions.map(() => [0]),
    allPartitions.map((partition) => [1 + (partition % 2)]),
  );
  await Promise.all(Array.from({ length: 100 }, () => stage.client.pull(requestOf(keysOf(40)))));
  return { ...stage, a, b, c, toA, toC };
}

test('hedging: where no single shard has all of a part, several are asked, and only all together win', async () => {
  const events: HedgeEvent[] = [];
  const stage = await openSplit(events);
  stage.toA.freeze();
  const request = requestOf(keysOf(60));
  expect(await pullAfter(stage, request, 1)).toEqual({ degraded: false });
  expect(Array.from(request.out)).toEqual(steppedRows(request));
  expect(marksOf(request)).toEqual(allPartitions.map((partition) => [partition, 100 + partition]));
  expect([stage.b.pulled() + stage.c.pulled(), events]).toEqual([60, ['asked', 'won']]);
});

test('hedging: half a hedge writes nothing when the shard asked first answers after all', async () => {
  const events: HedgeEvent[] = [];
  const stage = await openSplit(events);
  stage.toA.freeze();
  stage.toC.freeze();
  const request = requestOf(keysOf(60));
  const pulling = stage.client.pull(request);
  stage.clock.advanceBy(1);
  const half = keysOf(60).filter((_, i, keys) => onEven(keys, i)).length / 2;
  await until(() => stage.b.pulled() === half);
  // Time for its answer to be read.
  for (let i = 0; i < 20; i += 1) await new Promise((resolve) => setImmediate(resolve));
  expect([request.marks.count, request.out.every(Number.isNaN)]).toEqual([0, true]);
  stage.toA.thaw();
  expect(await pulling).toEqual({ degraded: false });
  expect(Array.from(request.out)).toEqual(steppedRows(request));
  expect(marksOf(request)).toEqual(allPartitions.map((partition) => [partition, 100 + partition]));
  expect(events).toEqual(['asked']);
});

test('hedging: a shard that breaks off while it is raced loses, and the pull waits for the other one', async () => {
  const stage = await openHedged();
  stage.way.freeze();
  const request = requestOf(evenKeys(30));
  const pulling = stage.client.pull(request);
  stage.clock.advanceBy(1);
  stage.way.drop();
  expect(await pulling).toEqual({ degraded: false });
  expect([Array.from(request.out), stage.events]).toEqual([steppedRows(request), ['asked', 'won']]);
});

test('hedging: a partition with a single holder is waited for', async () => {
  const events: HedgeEvent[] = [];
  const stage = await openSplit(events);
  await stage.lease('c', stage.toC.port, []);
  stage.toA.freeze();
  const pulling = stage.client.pull(requestOf(keysOf(60)));
  stage.clock.advanceBy(requestTimeoutMs - 10);
  expect(events).toEqual([]);
  stage.toA.thaw();
  expect(await pulling).toEqual({ degraded: false });
});

test('hedging: closing the client ends what is under way and leaves no timer', async () => {
  const stage = await openHedged();
  stage.way.freeze();
  const pulling = stage.client.pull(requestOf(evenKeys(30)));
  stage.client.close();
  await expect(pulling).rejects.toMatchObject({ code: 'MILL_CLOSED' });
  await stage.view.close();
  expect(stage.clock.timersWaiting).toBe(0);
});

/** Lets sockets and promises go on until `condition` holds. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}
