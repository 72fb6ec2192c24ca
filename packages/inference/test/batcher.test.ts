import { MillraceError } from '@millrace/protocol';
import { createManualClock } from '@millrace/runtime';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createBatcher, type Ticket } from '../src/batcher.ts';
import { openBatcher, type Run, requestsOf, turn } from './open-batcher.ts';

test('batcher: a batch leaves when its first request has waited', async () => {
  const { clock, runs, batcher } = openBatcher();
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
  const { runs, batcher } = openBatcher();
  void batcher.submit('a', 4);
  void batcher.submit('b', 4);
  expect(runs.length).toBe(0);
  void batcher.submit('c', 4);
  // 4 + 4 + 4 would be over 10 rows; what is left goes on the next lane.
  expect(requestsOf(runs)).toEqual(['a b', 'c']);
});

test('batcher: a request larger than a batch travels whole and alone', async () => {
  const { runs, batcher } = openBatcher();
  void batcher.submit('a', 1);
  void batcher.submit('big', 25);
  expect([requestsOf(runs), runs.map(({ rows }) => rows)]).toEqual([
    ['a', 'big'],
    [1, 25],
  ]);
});

test('batcher: no delay: what comes in one turn of the event loop travels together', async () => {
  const { clock, runs, batcher } = openBatcher({ delayUs: 0 });
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
  const { clock, runs, batcher } = openBatcher({ delayUs: 0 });
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
  const { clock, runs, batcher } = openBatcher();
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
  const { runs, batcher } = openBatcher({ lanes: 1 });
  void batcher.submit('a', 10);
  for (const request of ['b', 'c', 'd']) void batcher.submit(request, 2);
  runs[0].finish();
  await turn();
  expect(requestsOf(runs)).toEqual(['a', 'b c d']);
});

test('batcher: a full queue refuses at once, and takes again when there is room', async () => {
  const { runs, batcher } = openBatcher({ lanes: 1 });
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
  const { runs, batcher } = openBatcher();
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
  const { runs, batcher } = openBatcher({ lanes: 1 });
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
  const { runs, batcher } = openBatcher();
  void batcher.submit('a', 1);
  const closing = batcher.close();
  expect(requestsOf(runs)).toEqual(['a']);
  runs[0].finish();
  await closing;
});

test('batcher: close: at once when there is nothing', async () => {
  await openBatcher().batcher.close();
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
        const { clock, runs, batcher } = openBatcher({ lanes });
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
