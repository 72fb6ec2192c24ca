import { MillraceError } from '@millrace/protocol';
import { createManualClock } from '@millrace/runtime';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type BatchingLimits, createBatcher, type Ticket } from '../src/batcher.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));

interface Run {
  readonly lane: number;
  readonly requests: readonly string[];
  readonly rows: number;
  /** Answers every request with its name in capitals, and frees the lane. */
  finish(): void;
}

function open(limits: Partial<BatchingLimits> = {}, unreadMs = () => 0) {
  const clock = createManualClock(0);
  const runs: Run[] = [];
  const whole = { rowsMax: 10, delayUs: 2_000, queueRowsMax: 30, lanes: 2, ...limits };
  const run = (lane: number, tickets: readonly Ticket<string, string>[]) =>
    new Promise<void>((resolve) => {
      runs.push({
        lane,
        requests: tickets.map(({ request }) => request),
        rows: tickets.reduce((sum, { rows }) => sum + rows, 0),
        finish() {
          for (const ticket of tickets) ticket.resolve(ticket.request.toUpperCase());
          resolve();
        },
      });
    });
  const batcher = createBatcher<string, string>(whole, clock, run, { unreadMs });
  return { clock, runs, batcher };
}

const requestsOf = (runs: readonly Run[]) => runs.map(({ requests }) => requests.join(' '));

test('batcher: a batch leaves when its first request has waited', async () => {
  const { clock, runs, batcher } = open();
  const a = batcher.submit('a', 2);
  clock.advanceBy(1);
  const b = batcher.submit('b', 3);
  clock.advanceBy(0.9);
  expect([runs.length, batcher.queueRows]).toEqual([0, 5]);
  clock.advanceBy(0.1);
  expect([requestsOf(runs), runs[0].rows, batcher.queueRows]).toEqual([['a b'], 5, 0]);
  runs[0].finish();
  expect(await Promise.all([a, b])).toEqual(['A', 'B']);
});

test('batcher: a batch leaves at once when it is full, and is never larger than that', async () => {
  const { runs, batcher } = open();
  void batcher.submit('a', 4);
  void batcher.submit('b', 4);
  expect(runs.length).toBe(0);
  void batcher.submit('c', 4);
  // 4 + 4 + 4 would be over 10 rows; what is left goes on the next lane.
  expect(requestsOf(runs)).toEqual(['a b', 'c']);
});

test('batcher: a request larger than a batch travels whole and alone', async () => {
  const { runs, batcher } = open();
  void batcher.submit('a', 1);
  void batcher.submit('big', 25);
  expect([requestsOf(runs), runs.map(({ rows }) => rows)]).toEqual([
    ['a', 'big'],
    [1, 25],
  ]);
});

test('batcher: no delay: what comes in one turn of the event loop travels together', async () => {
  const { clock, runs, batcher } = open({ delayUs: 0 });
  void batcher.submit('a', 1);
  await Promise.resolve();
  void batcher.submit('b', 1);
  expect(runs.length).toBe(0);
  await turn();
  expect([requestsOf(runs), clock.timersWaiting]).toEqual([['a b'], 0]);
  void batcher.submit('c', 1);
  await turn();
  expect(requestsOf(runs)).toEqual(['a b', 'c']);
});

test('batcher: no delay: in a long turn of the event loop what came early does not wait for its end', async () => {
  const { clock, runs, batcher } = open({ delayUs: 0 });
  void batcher.submit('a', 1);
  clock.advanceBy(0.5);
  void batcher.submit('b', 1);
  expect(runs.length).toBe(0);
  clock.advanceBy(0.6);
  void batcher.submit('c', 1);
  expect(requestsOf(runs)).toEqual(['a b c']);
  await turn();
  expect(runs.length).toBe(1);
});

test('batcher: lanes: each batch has a lane of its own, and without a free one requests wait', async () => {
  const { clock, runs, batcher } = open();
  for (const request of ['a', 'b', 'c', 'd']) void batcher.submit(request, 10);
  expect([requestsOf(runs), batcher.queueRows]).toEqual([['a', 'b'], 20]);
  expect(new Set(runs.map(({ lane }) => lane)).size).toBe(2);
  clock.advanceBy(10);
  expect(runs.length).toBe(2);
  runs[1].finish();
  await turn();
  expect([requestsOf(runs), runs[2].lane, batcher.queueRows]).toEqual([['a', 'b', 'c'], runs[1].lane, 10]);
  runs[0].finish();
  await turn();
  expect([requestsOf(runs)[3], runs[3].lane]).toEqual(['d', runs[0].lane]);
});

test('batcher: what waited for a lane leaves together when one is free', async () => {
  const { runs, batcher } = open({ lanes: 1 });
  void batcher.submit('a', 10);
  for (const request of ['b', 'c', 'd']) void batcher.submit(request, 2);
  runs[0].finish();
  await turn();
  expect(requestsOf(runs)).toEqual(['a', 'b c d']);
});

test('batcher: a full queue refuses at once, and takes again when there is room', async () => {
  const { runs, batcher } = open({ lanes: 1 });
  void batcher.submit('a', 10);
  const waiting = [batcher.submit('b', 20), batcher.submit('c', 10)];
  await expect(batcher.submit('d', 1)).rejects.toMatchObject({
    code: 'MILL_OVERLOADED',
    message: 'cannot score now: 30 rows wait, the limit is 30',
  });
  runs[0].finish();
  await turn();
  void batcher.submit('e', 1);
  for (const run of [1, 2, 3]) {
    runs[run].finish();
    await turn();
  }
  expect(await Promise.all(waiting)).toEqual(['B', 'C']);
  expect(requestsOf(runs)).toEqual(['a', 'b', 'c', 'e']);
});

test('batcher: one request over the queue limit is taken while nobody waits', async () => {
  const { runs, batcher } = open();
  void batcher.submit('huge', 31);
  expect(requestsOf(runs)).toEqual(['huge']);
});

test('batcher: a request that is refused does not hold up the others of its batch', async () => {
  const clock = createManualClock(0);
  const run = async (_lane: number, tickets: readonly Ticket<string, string>[]) => {
    for (const ticket of tickets) {
      if (ticket.request === 'bad') ticket.reject(new Error('a bad feature'));
      else ticket.resolve('fine');
    }
  };
  const batcher = createBatcher({ rowsMax: 10, delayUs: 1_000, queueRowsMax: 30, lanes: 1 }, clock, run);
  const outcomes = Promise.allSettled(['a', 'bad', 'c'].map((request) => batcher.submit(request, 1)));
  clock.advanceBy(1);
  expect((await outcomes).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
});

/** A batcher that refuses those in `late`, and what it has run. */
function openWithLate(late: ReadonlySet<string>) {
  const clock = createManualClock(0);
  const runs: string[][] = [];
  const finish: (() => void)[] = [];
  const batcher = createBatcher<string, string>(
    { rowsMax: 10, delayUs: 1_000, queueRowsMax: 30, lanes: 1 },
    clock,
    (_lane, tickets) => {
      runs.push(tickets.map(({ request }) => request));
      return new Promise<void>((resolve) => {
        finish.push(() => {
          for (const ticket of tickets) ticket.resolve(ticket.request);
          resolve();
        });
      });
    },
    { refusalOf: (request) => (late.has(request) ? new MillraceError('MILL_TIMEOUT', 'late') : null) },
  );
  const submit = (request: string, rows: number) =>
    batcher.submit(request, rows).catch((error: { code: string }) => error.code);
  return { clock, runs, finish, batcher, submit };
}

test('batcher: what is late when its batch leaves is refused and not run, and leaves its room to others', async () => {
  const late = new Set<string>();
  const { runs, finish, batcher, submit } = openWithLate(late);
  const first = submit('a', 10);
  const rest = [submit('b', 6), submit('c', 6), submit('d', 4)];
  expect([runs, batcher.queueRows]).toEqual([[['a']], 16]);
  late.add('b');
  finish[0]();
  expect(await first).toBe('a');
  await turn();
  expect([runs, batcher.queueRows]).toEqual([[['a'], ['c', 'd']], 0]);
  finish[1]();
  expect(await Promise.all(rest)).toEqual(['MILL_TIMEOUT', 'c', 'd']);
});

test('batcher: a batch of which all is late is not run, and its lane serves the next; a close ends', async () => {
  const late = new Set(['a', 'b', 'z']);
  const { clock, runs, finish, batcher, submit } = openWithLate(late);
  const both = [submit('a', 1), submit('b', 1)];
  clock.advanceBy(1);
  expect(await Promise.all(both)).toEqual(['MILL_TIMEOUT', 'MILL_TIMEOUT']);
  const next = submit('c', 1);
  clock.advanceBy(1);
  expect([runs, batcher.queueRows]).toEqual([[['c']], 0]);
  finish[0]();
  expect(await next).toBe('c');
  const last = submit('z', 1);
  await batcher.close();
  expect([await last, runs.length]).toEqual(['MILL_TIMEOUT', 1]);
});

test('batcher: close: takes no more, and is over when all that it took is answered', async () => {
  const { runs, batcher } = open({ lanes: 1 });
  const a = batcher.submit('a', 10);
  const b = batcher.submit('b', 3);
  let closed = false;
  const closing = batcher.close().then(() => {
    closed = true;
  });
  await expect(batcher.submit('c', 1)).rejects.toMatchObject({ code: 'MILL_CLOSED' });
  runs[0].finish();
  await turn();
  expect([closed, requestsOf(runs)]).toEqual([false, ['a', 'b']]);
  runs[1].finish();
  await closing;
  expect(await Promise.all([a, b])).toEqual(['A', 'B']);
});

test('batcher: close: what waits for its delay leaves at once', async () => {
  const { runs, batcher } = open();
  void batcher.submit('a', 1);
  const closing = batcher.close();
  expect(requestsOf(runs)).toEqual(['a']);
  runs[0].finish();
  await closing;
});

test('batcher: close: at once when there is nothing', async () => {
  await open().batcher.close();
});

test('batcher: every request is answered once, in order, whatever its size and however batches end', async () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('submit' as const), rows: fc.integer({ min: 1, max: 15 }) }),
    fc.record({ kind: fc.constant('finish' as const), which: fc.nat(3) }),
    fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 3 }) }),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 40 }),
      fc.integer({ min: 1, max: 3 }),
      async (steps, lanes) => {
        const { clock, runs, batcher } = open({ lanes });
        const finished = new Set<Run>();
        const outcomes: Promise<string>[] = [];
        let taken = 0;
        for (const one of steps) {
          if (one.kind === 'wait') clock.advanceBy(one.ms);
          else if (one.kind === 'submit') {
            const name = `r${outcomes.length}`;
            const outcome = batcher.submit(name, one.rows);
            outcomes.push(outcome.catch((error: { code: string }) => error.code));
            taken += 1;
          } else {
            const running = runs.filter((run) => !finished.has(run));
            const run = running[one.which % Math.max(1, running.length)];
            if (run) {
              finished.add(run);
              run.finish();
            }
            await turn();
          }
          expect(runs.length - finished.size).toBeLessThanOrEqual(lanes);
        }
        const closing = batcher.close();
        for (const run of runs) {
          if (!finished.has(run)) run.finish();
          await turn();
        }
        await closing;
        const answers = await Promise.all(outcomes);
        answers.forEach((answer, i) => {
          expect([`R${i}`, 'MILL_OVERLOADED']).toContain(answer);
        });
        const ran = runs.flatMap(({ requests }) => requests);
        expect(ran).toEqual([...ran].sort((a, b) => Number(a.slice(1)) - Number(b.slice(1))));
        expect(ran.length + answers.filter((answer) => answer === 'MILL_OVERLOADED').length).toBe(taken);
        for (const { rows, requests } of runs) expect(rows <= 10 || requests.length === 1).toBe(true);
      },
    ),
    { numRuns: 60 },
  );
}, 20_000);

test('batcher: once requests have waited too long new ones are refused, until what waits is younger again', async () => {
  const { clock, runs, batcher } = open({ lanes: 1, queueRowsMax: 1_000, queueDelayMsMax: 50 });
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
  const { clock, runs, batcher } = open({ lanes: 1, queueDelayMsMax: 50 });
  void batcher.submit('a', 10);
  void batcher.submit('b', 1);
  clock.advanceBy(1_000);
  runs[0].finish();
  await turn();
  expect([requestsOf(runs), batcher.overdue('low')]).toEqual([['a', 'b'], null]);
});

test('batcher: no more is taken than leaves within the limit, by what batches took', async () => {
  const { clock, runs, batcher } = open({ lanes: 1, queueRowsMax: 1_000, queueDelayMsMax: 50 });
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
  const { clock, runs, batcher } = open({ lanes: 1, queueRowsMax: 1_000, queueDelayMsMax: 50 });
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
  const opened = open(limits, () => lain.ms);
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
