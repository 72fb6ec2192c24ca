/** What is read through a cache is what the log says, at the sequence that is marked, and never older than it may be. */
import { partitionOf } from '@millrace/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { PullOutcome, PullRequest } from '../src/row-source.ts';
import {
  type CacheStage,
  file,
  firstRow,
  keyOf,
  layouts,
  openCacheStage,
  partitions,
  stalenessMsMax,
} from './cache-stage.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));
const partitionOfKey = (key: number) => partitionOf(...keyOf(key), partitions);
/** The first keys of partition 0. */
const keys = Array.from({ length: 100 }, (_, key) => key).filter((key) => partitionOfKey(key) === 0);
const [a, b, c] = keys;

/** Pulls keys and has them answered at once; gives rows, marks and how many keys were asked of shards. */
async function read(stage: CacheStage, wanted: readonly number[], table = 0) {
  const request = stage.request(table, wanted);
  const pulling = stage.cache.pull(request);
  let asked = 0;
  await turn();
  while (stage.asked.length > 0) {
    asked += stage.asked[0].request.places?.count ?? stage.asked[0].request.count;
    stage.answer();
    await turn();
  }
  const { degraded } = await pulling;
  return { asked, degraded, rows: rowsOf(request, table), marks: marksOf(request) };
}

function rowsOf({ out, count }: PullRequest, table: number): number[][] {
  const { dim } = layouts[table];
  return Array.from({ length: count }, (_, i) => Array.from(out.subarray(i * dim, (i + 1) * dim)));
}

const marksOf = ({ marks }: PullRequest) =>
  Array.from({ length: marks.count }, (_, i) => [marks.partitions[i], marks.sequences[i]]);

/** A stage that has read some keys of partition 0, and knows that they are fresh. */
async function warmStage(wanted: readonly number[], rowsMax?: number): Promise<CacheStage> {
  const stage = openCacheStage(rowsMax === undefined ? {} : { rowsMax });
  stage.block(0, 0, keys);
  await read(stage, wanted);
  stage.tellHeads();
  return stage;
}

/** A cache follows a model from its first pull on, even one of nothing. */
const listen = (stage: CacheStage) => stage.cache.pull(stage.request(0, []));

/** Lets notices go out. */
const flush = (stage: CacheStage) => stage.clock.advanceBy(2);

test('hot row cache: a row that was read is read again without asking, at the sequence it was told of', async () => {
  const stage = await warmStage([a, b]);
  const { sequence } = stage.states[0];
  const again = await read(stage, [b, a]);
  expect(again).toEqual({
    asked: 0,
    degraded: false,
    rows: [stage.rowAt(0, b, sequence), stage.rowAt(0, a, sequence)],
    marks: [[0, sequence]],
  });
  expect(stage.cache.counts).toEqual({ hits: 2, misses: 2, torn: 0 });
});

test('hot row cache: a notice renews the row, and moves the sequence of those that it leaves alone', async () => {
  const stage = await warmStage([a, b]);
  stage.block(0, 0, [a]);
  const { sequence } = stage.states[0];
  flush(stage);
  const again = await read(stage, [a, b]);
  expect(again.asked).toBe(0);
  expect(again.rows).toEqual([stage.rowAt(0, a, sequence), stage.rowAt(0, b, sequence)]);
  expect(again.marks).toEqual([[0, sequence]]);
});

test('hot row cache: rows that were put whole and rows that expired are told too', async () => {
  const stage = await warmStage([a]);
  stage.block(0, 1, [b], 'step');
  flush(stage);
  stage.tellHeads();
  await read(stage, [b], 1);
  stage.block(0, 1, [b], 'put');
  flush(stage);
  const put = await read(stage, [b], 1);
  expect([put.asked, put.rows[0]]).toEqual([0, stage.rowAt(1, b, stage.states[0].sequence)]);
  // Time goes on by other blocks until the row is swept away.
  for (let n = 0; n < 40 && (stage.states[0].counts.expired ?? 0) === 0; n += 1) stage.block(0, 0, [c]);
  expect(stage.states[0].counts.expired).toBe(1);
  flush(stage);
  const gone = await read(stage, [b], 1);
  expect([gone.asked, gone.rows[0]]).toEqual([0, firstRow(layouts[1], b)]);
});

test('hot row cache: a lost notice is noticed by the next one, and costs the rows of its partition alone', async () => {
  const stage = await warmStage([a, b]);
  const other = Array.from({ length: 100 }, (_, key) => key).find(
    (key) => partitionOfKey(key) === 1,
  ) as number;
  stage.block(1, 0, [other]);
  flush(stage);
  stage.tellHeads();
  await read(stage, [other]);
  stage.lose(1);
  stage.block(0, 0, [a]);
  flush(stage);
  stage.block(0, 0, [b]);
  flush(stage);
  const again = await read(stage, [a, b, other]);
  expect([again.asked, stage.cache.drops]).toEqual([2, 1]);
  expect(again.rows[0]).toEqual(stage.rowAt(0, a, stage.states[0].sequence));
});

test('hot row cache: a lost notice that nothing follows is noticed by what shards answer', async () => {
  const stage = await warmStage([a, b]);
  stage.lose(1);
  stage.block(0, 0, [a]);
  flush(stage);
  await read(stage, [c]);
  expect([(await read(stage, [a])).asked, stage.cache.drops]).toEqual([1, 0]);
  stage.clock.advanceBy(300);
  stage.tellHeads();
  await read(stage, [keys[4]]);
  expect(stage.cache.drops).toBe(1);
  expect([(await read(stage, [a])).asked, (await read(stage, [a])).asked]).toEqual([1, 0]);
});

test('hot row cache: rows of a partition that has not reached the heads for too long are pulled', async () => {
  const stage = await warmStage([a]);
  stage.clock.advanceBy(stalenessMsMax);
  expect((await read(stage, [a])).asked).toBe(0);
  stage.clock.advanceBy(1);
  expect((await read(stage, [a])).asked).toBe(1);
  stage.tellHeads();
  expect((await read(stage, [a])).asked).toBe(0);
});

test('hot row cache: an answer that is newer than the cache tears a partition, which is pulled whole', async () => {
  const stage = await warmStage([a, b]);
  const request = stage.request(0, [a, b, c]);
  const pulling = stage.cache.pull(request);
  await turn();
  stage.block(0, 0, [a]);
  stage.answer();
  await turn();
  expect(stage.asked[0].request.places?.count).toBe(3);
  stage.answer();
  await pulling;
  const { sequence } = stage.states[0];
  expect(marksOf(request)).toEqual([[0, sequence]]);
  expect(rowsOf(request, 0)).toEqual([a, b, c].map((key) => stage.rowAt(0, key, sequence)));
  expect(stage.cache.counts.torn).toBe(1);
});

test('hot row cache: an answer that is older than a cached row tears a partition too', async () => {
  const stage = await warmStage([a, b]);
  const before = stage.states[0].sequence;
  stage.block(0, 0, [a]);
  flush(stage);
  const request = stage.request(0, [a, b, c]);
  const pulling = stage.cache.pull(request);
  await turn();
  expect(stage.asked[0].request.places?.count).toBe(1);
  stage.answer({ asOf: before });
  await turn();
  expect(stage.asked[0].request.places?.count).toBe(3);
  stage.answer();
  await pulling;
  const { sequence } = stage.states[0];
  expect(marksOf(request)).toEqual([[0, sequence]]);
  expect(rowsOf(request, 0)).toEqual([a, b, c].map((key) => stage.rowAt(0, key, sequence)));
  expect(stage.cache.counts.torn).toBe(1);
});

test('hot row cache: nothing is torn where the notice was there before the answer', async () => {
  const stage = await warmStage([a, b]);
  const request = stage.request(0, [a, b, c]);
  const pulling = stage.cache.pull(request);
  await turn();
  stage.block(0, 0, [a]);
  flush(stage);
  stage.answer();
  await pulling;
  const { sequence } = stage.states[0];
  expect([marksOf(request), stage.cache.counts.torn]).toEqual([[[0, sequence]], 0]);
  expect(rowsOf(request, 0)).toEqual([a, b, c].map((key) => stage.rowAt(0, key, sequence)));
});

test('hot row cache: what nobody answers for has first values throughout, and no mark', async () => {
  const stage = await warmStage([a]);
  const request = stage.request(0, [a, b]);
  const pulling = stage.cache.pull(request);
  await turn();
  stage.answer({ silent: 0 });
  expect(await pulling).toEqual({ degraded: true });
  expect([rowsOf(request, 0), marksOf(request)]).toEqual([
    [firstRow(layouts[0], a), firstRow(layouts[0], b)],
    [],
  ]);
});

test('hot row cache: keeps no more rows than it may, and those that are read again', async () => {
  const stage = await warmStage([a], 4);
  for (const key of keys.slice(1, 12)) {
    expect((await read(stage, [a])).asked).toBe(0);
    await read(stage, [key]);
  }
  expect([(await read(stage, [a])).asked, stage.cache.rows]).toEqual([0, 4]);
});

test('hot row cache: shards are told that somebody listens only as long as it is open', async () => {
  const stage = openCacheStage();
  let notices = 0;
  stage.bus.onNotice('mill.rows.ads', () => {
    notices += 1;
  });
  const told = () => {
    stage.block(0, 0, [a]);
    flush(stage);
    return notices;
  };
  expect(told()).toBe(0);
  await read(stage, [a]);
  expect(told()).toBe(1);
  await stage.cache.close();
  stage.clock.advanceBy(5_000);
  expect(told()).toBe(1);
});

const anyKeys = fc.array(fc.nat(14), { minLength: 1, maxLength: 8 });
const anyStep = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('read' as const), table: fc.nat(1), keys: anyKeys }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('answer' as const),
      isOld: fc.boolean(),
      silent: fc.option(fc.nat(2), { freq: 8 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom('step' as const, 'put' as const),
      partition: fc.nat(partitions - 1),
      table: fc.nat(1),
      keys: anyKeys,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('lose' as const), notices: fc.nat(2), lateMs: fc.nat(6) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('heads' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(1, 2, 5, 60, 260) }),
  },
);

/** One read under way: what was known when it began. */
interface Reading {
  readonly request: PullRequest;
  readonly table: number;
  readonly keys: readonly number[];
  readonly atMs: number;
  readonly floors: readonly number[];
  readonly done: Promise<PullOutcome>;
}

function checkRead(
  stage: CacheStage,
  { request, table, keys: wanted, atMs, floors }: Reading,
  degraded: boolean,
) {
  const sequences = new Map<number, number>();
  for (const [partition, sequence] of marksOf(request)) {
    // One sequence a partition: what a log of reads can tell.
    expect(sequences.has(partition)).toBe(false);
    sequences.set(partition, sequence);
    expect(sequence).toBeGreaterThanOrEqual(floors[partition]);
    // Within the bound: all that was told of longer ago than that had been read.
    const old = stage.told.filter((heads) => heads.atMs < atMs - stalenessMsMax).at(-1);
    expect(sequence).toBeGreaterThanOrEqual(old?.heads[partition] ?? 0);
  }
  for (const [i, row] of rowsOf(request, table).entries()) {
    const key = wanted[i];
    const sequence = sequences.get(partitionOfKey(key));
    if (sequence === undefined) expect([degraded, row]).toEqual([true, firstRow(layouts[table], key)]);
    else expect(row).toEqual(stage.rowAt(table, key, sequence));
  }
}

test.each([1_000, 5])(
  'hot row cache: with room for %i rows agrees with the log at the marked sequences, under any order of blocks, losses and answers (property)',
  async (rowsMax) => {
    let hits = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(anyStep, { minLength: 20, maxLength: 100, size: 'max' }), async (steps) => {
        const stage = openCacheStage({ rowsMax });
        await listen(stage);
        const readings: Reading[] = [];
        /** By partition: the newest that a finished read has seen. */
        const seen = new Array<number>(partitions).fill(0);
        const finish = async () => {
          await turn();
          for (const reading of [...readings]) {
            const outcome = await Promise.race([reading.done, Promise.resolve(null)]);
            if (outcome === null) continue;
            readings.splice(readings.indexOf(reading), 1);
            checkRead(stage, reading, outcome.degraded);
            for (const [p, sequence] of marksOf(reading.request)) seen[p] = Math.max(seen[p], sequence);
          }
        };
        for (const step of steps) {
          if (step.kind === 'read') {
            const wanted = [...new Set(step.keys)];
            const request = stage.request(step.table, wanted);
            const done = stage.cache.pull(request);
            const atMs = stage.clock.monotonicMs();
            readings.push({ request, table: step.table, keys: wanted, atMs, floors: [...seen], done });
          } else if (step.kind === 'answer')
            stage.answer({ isOld: step.isOld, ...(step.silent !== null && { silent: step.silent }) });
          else if (step.kind === 'lose') stage.lose(step.notices, step.lateMs);
          else if (step.kind === 'heads') stage.tellHeads();
          else if (step.kind === 'wait') stage.clock.advanceBy(step.ms);
          else stage.block(step.partition, step.table, step.keys, step.kind);
          await finish();
        }
        while (readings.length > 0) {
          stage.answer();
          await finish();
        }
        hits += stage.cache.counts.hits;
        await stage.cache.close();
      }),
      { numRuns: 60 },
    );
    // A property of a cache that is never used would prove nothing.
    expect(hits).toBeGreaterThan(200);
  },
  30_000,
);

test('hot row cache: off and on read the same rows at the same sequences where nothing is lost (property)', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(fc.nat(2), anyKeys, anyKeys), { maxLength: 30 }), async (rounds) => {
      const stage = openCacheStage();
      await listen(stage);
      for (const [partition, changed, wanted] of rounds) {
        stage.block(partition, 0, changed);
        flush(stage);
        stage.tellHeads();
        const distinct = [...new Set(wanted)];
        const { rows, marks } = await read(stage, distinct);
        // Without a cache a pull is answered with the state as it is.
        expect(rows).toEqual(
          distinct.map((key) => stage.rowAt(0, key, stage.states[partitionOfKey(key)].sequence)),
        );
        for (const [p, sequence] of marks) expect(sequence).toBe(stage.states[p].sequence);
      }
      expect(file.partitions).toBe(partitions);
      await stage.cache.close();
    }),
    { numRuns: 60 },
  );
});
