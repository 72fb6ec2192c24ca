import { createManualClock } from '@millrace/runtime';
import { expect, test } from 'vitest';
import { createBatcher } from '../src/batcher.ts';
import { openBatcher, requestsOf, turn } from './open-batcher.ts';

test('batcher: once requests have waited too long new ones are refused, until what waits is younger again', async () => {
  const { clock, runs, batcher } = openBatcher({ lanes: 1, queueRowsMax: 1_000, queueDelayMsMax: 50 });
  void batcher.submit('a', 10);
  for (const request of ['b', 'c', 'd']) void batcher.submit(request, 10);
  clock.advanceBy(60);
  // Nobody looks before a batch leaves: the process may have been stopped for a while.
  void batcher.submit('e', 10);
  runs[0].finish();
  await turn();
  await expect(batcher.submit('f', 1)).rejects.toMatchObject({
    code: 'MILL_OVERLOADED',
    message: 'cannot score now: a request would wait for 60 ms, the limit is 50',
    details: { retryAfterMs: 100 },
  });
  runs[1].finish();
  await turn();
  expect(batcher.overdue('normal')).toBe(100);
  for (const run of [2, 3]) {
    runs[run].finish();
    await turn();
  }
  expect(batcher.overdue('normal')).toBeNull();
  void batcher.submit('g', 10);
  for (const run of [4, 5]) {
    runs[run].finish();
    await turn();
  }
  expect(requestsOf(runs)).toEqual(['a', 'b', 'c', 'd', 'e', 'g']);
});

test('batcher: what has waited long and leaves with the next batch refuses nobody', async () => {
  const { clock, runs, batcher } = openBatcher({ lanes: 1, queueDelayMsMax: 50 });
  void batcher.submit('a', 10);
  void batcher.submit('b', 1);
  clock.advanceBy(1_000);
  runs[0].finish();
  await turn();
  expect([requestsOf(runs), batcher.overdue('low')]).toEqual([['a', 'b'], null]);
});

test('batcher: no more is taken than leaves within the limit, by what batches took', async () => {
  const { clock, runs, batcher } = openBatcher({ lanes: 1, queueRowsMax: 1_000, queueDelayMsMax: 50 });
  for (const request of ['0', 'a', 'b', 'c', 'd']) void batcher.submit(request, 10);
  for (const run of [0, 1]) {
    clock.advanceBy(12);
    runs[run].finish();
    await turn();
  }
  // 1.2 ms a row: what goes before a new request ends within 36 ms, with e within 48, with one more within 60.
  expect([batcher.overdue('low'), batcher.overdue('normal')]).toEqual([100, null]);
  void batcher.submit('e', 10);
  expect(batcher.overdue('normal')).toBeNull();
  void batcher.submit('f', 10);
  expect([batcher.overdue('low'), batcher.overdue('normal'), batcher.overdue('high')]).toEqual([
    100,
    100,
    null,
  ]);
  await expect(batcher.submit('g', 10)).rejects.toMatchObject({
    message: 'cannot score now: a request would wait for 60 ms, the limit is 50',
  });
  for (const run of [2, 3, 4, 5, 6]) {
    runs[run].finish();
    await turn();
  }
  expect(requestsOf(runs)).toEqual(['0', 'a', 'b', 'c', 'd', 'e', 'f']);
  expect(batcher.overdue('low')).toBeNull();
});

test('batcher: priority: the urgent leave first, and are refused last', async () => {
  const { clock, runs, batcher } = openBatcher({ lanes: 1, queueRowsMax: 1_000, queueDelayMsMax: 50 });
  void batcher.submit('a', 10);
  void batcher.submit('low', 10, 'low');
  void batcher.submit('normal', 10);
  void batcher.submit('high', 10, 'high');
  clock.advanceBy(60);
  runs[0].finish();
  await turn();
  expect(requestsOf(runs)).toEqual(['a', 'high']);
  // Nothing as urgent waits any more; what is less urgent does not count.
  expect(batcher.overdue('high')).toBeNull();
  expect(batcher.overdue('normal')).toBe(100);
  await expect(batcher.submit('late', 1, 'low')).rejects.toMatchObject({ code: 'MILL_OVERLOADED' });
  void batcher.submit('urgent', 10, 'high');
  for (const run of [1, 2, 3]) {
    runs[run].finish();
    await turn();
  }
  expect(requestsOf(runs)).toEqual(['a', 'high', 'urgent', 'normal', 'low']);
});

/** A batcher of one lane with a full batch on it, and what the next request is said to have lain unread. */
function openUnread() {
  const lain = { ms: 0 };
  const limits = { lanes: 1, queueRowsMax: 1_000, queueDelayMsMax: 50, queueDelayMsTarget: 15 };
  const opened = openBatcher(limits, () => lain.ms);
  /** The batch that runs has taken 10 ms, and the next has left. */
  const finish = async () => {
    opened.clock.advanceBy(10);
    opened.runs.at(-1)?.finish();
    await turn();
  };
  return { ...opened, lain, finish };
}

test('batcher: unread: after a pause nobody is refused for it', async () => {
  const { runs, batcher, lain, finish } = openUnread();
  void batcher.submit('a', 10);
  void batcher.submit('b', 10);
  lain.ms = 1_000;
  expect([batcher.overdue('low'), batcher.overdue('normal')]).toEqual([null, null]);
  void batcher.submit('c', 10);
  lain.ms = 0;
  void batcher.submit('d', 10);
  for (let batch = 0; batch < 3; batch += 1) await finish();
  expect(requestsOf(runs)).toEqual(['a', 'b', 'c', 'd']);
});

test('batcher: unread: where requests lie for long whatever is done it counts, until nobody is refused any more', async () => {
  const { clock, batcher, lain, finish } = openUnread();
  void batcher.submit('a', 10);
  lain.ms = 40;
  // A batch waits while another runs: short enough in the node, not with what came before.
  for (let batch = 0; batch < 11; batch += 1) {
    expect(batcher.overdue('normal')).toBeNull();
    void batcher.submit('b', 10);
    await finish();
  }
  void batcher.submit('c', 10);
  await expect(batcher.submit('d', 10)).rejects.toMatchObject({
    message: 'cannot score now: a request would wait for 60 ms, the limit is 15',
  });
  // It is held short now, even while less than a batch is there; the urgent have twice of it.
  await finish();
  await finish();
  expect(batcher.queueRows).toBe(0);
  lain.ms = 16;
  expect([batcher.overdue('low'), batcher.overdue('normal'), batcher.overdue('high')]).toEqual([
    100,
    100,
    null,
  ]);
  lain.ms = 8;
  expect([batcher.overdue('low'), batcher.overdue('normal')]).toEqual([100, null]);
  lain.ms = 0;
  clock.advanceBy(100);
  void batcher.submit('e', 10);
  lain.ms = 40;
  expect(batcher.overdue('normal')).toBeNull();
});

test('batcher: unread: while less than a batch is there nobody begins to be refused', async () => {
  const { runs, batcher, lain, finish } = openUnread();
  lain.ms = 1_000;
  for (let batch = 0; batch < 20; batch += 1) {
    void batcher.submit(String(batch), 9);
    await turn();
    await finish();
    expect(batcher.overdue('low')).toBeNull();
  }
  expect(runs.length).toBe(20);
});

/**
 * One server that spends 0.05 ms on a row and serves batches one after the other, asked at `rate` requests of 100 rows a second
 * with random gaps, in steps of 1 ms. Resolves to the times of accepted requests after the first half second, which shows how fast
 * it is, ms ascending, and how many were refused then.
 */
async function serveAt(rate: number) {
  const clock = createManualClock(0);
  const limits = {
    rowsMax: 1_024,
    delayUs: 0,
    queueRowsMax: 20_000,
    queueDelayMsMax: 50,
    queueDelayMsTarget: 5,
    lanes: 2,
  };
  const due: { readonly atMs: number; readonly end: () => void }[] = [];
  let freeMs = 0;
  const batcher = createBatcher<number, null>(limits, clock, (_lane, tickets) => {
    const rows = tickets.reduce((sum, ticket) => sum + ticket.rows, 0);
    freeMs = Math.max(freeMs, clock.monotonicMs()) + 0.05 * rows;
    return new Promise((resolve) => {
      const end = () => {
        for (const ticket of tickets) ticket.resolve(null);
        resolve();
      };
      due.push({ atMs: freeMs, end });
    });
  });
  const tookMs: number[] = [];
  let refused = 0;
  let state = 1;
  const random = () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return state / 2 ** 32;
  };
  let nextMs = -500;
  for (let nowMs = -500; nowMs < 3_000; nowMs += 1) {
    while (nextMs <= nowMs) {
      nextMs += (1_000 / rate) * -Math.log(1 - random());
      const submittedMs = clock.monotonicMs();
      const note = () => {
        if (nowMs >= 0) tookMs.push(clock.monotonicMs() - submittedMs);
      };
      batcher.submit(nowMs, 100).then(note, () => {
        if (nowMs >= 0) refused += 1;
      });
    }
    await turn();
    clock.advanceBy(1);
    while (due.length > 0 && due[0].atMs <= clock.monotonicMs()) due.shift()?.end();
    await turn();
  }
  return { tookMs: tookMs.sort((a, b) => a - b), refused };
}

test('batcher: overload: at ten times of what can be served what is accepted takes no more than twice as long', async () => {
  const p99 = (tookMs: readonly number[]) => tookMs[Math.floor(0.99 * tookMs.length)];
  // 5 ms a request: 200 requests a second at most.
  const capacity = await serveAt(160);

  const overload = await serveAt(2_000);
  expect(capacity.refused).toBe(0);
  expect(overload.refused).toBeGreaterThan(8 * overload.tookMs.length);
  // As many as can be are served all the same.
  expect(overload.tookMs.length).toBeGreaterThan(0.9 * 600);
  expect(p99(overload.tookMs)).toBeLessThanOrEqual(2 * p99(capacity.tookMs));
});
