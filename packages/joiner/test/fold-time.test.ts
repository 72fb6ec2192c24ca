/** Time, and what bounds waiting: functions of the log. */
import type { Event } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { fold, impression, type Logged, outcome, plainOptions, shortly, tick } from './event-logs.ts';

/** Events as a log with a clock stores them, one every 10 ms from 1,000 on. */
function storedAs(events: readonly Event[], bytes = 1): readonly Logged[] {
  return events.map((event, i) => ({
    sequence: i + 1,
    event,
    stored: { timeMs: 1_000 + 10 * i, bytes },
  }));
}

test('fold time: a clock an hour ahead moves the time no further than the log has come', () => {
  const hour = 3_600_000;
  const log = storedAs([
    impression('r', 1_000),
    impression('ahead', 1_010 + hour),
    tick(1_020 + hour),
    outcome('r'),
    impression('s', 1_040),
  ]);
  const { joiner, examples } = fold(log, plainOptions);
  expect(joiner.watermarkMs).toBe(1_040);
  // Its window is still open, so the click counts; a bare log without times would have closed it at event 2.
  expect(examples.map(shortly)).toEqual(['4:1/0 +']);
  expect(
    fold(
      log.map(({ sequence, event }) => ({ sequence, event })),
      plainOptions,
    ).examples.map(shortly),
  ).toEqual(['2:1/0 −']);
});

test('fold time: windows go on to close while one writer is ahead and another behind', () => {
  const events: Event[] = [];
  for (let i = 0; i < 40; i += 1) {
    const now = 1_000 + 10 * i;
    events.push(impression(`r${i}`, i % 3 === 0 ? now + 1e7 : i % 3 === 1 ? now - 1e7 : now));
  }
  const { examples } = fold(storedAs(events), plainOptions);
  // A window of 100 ms is ten events, or one more where the next of them tells no time.
  const waits = examples.map(({ place }) => place[0] - place[1]);
  expect([examples.length > 25, Math.min(...waits), Math.max(...waits)]).toEqual([true, 10, 11]);
});

test('fold time: a writer whose log is behind it keeps its own time', () => {
  const { joiner } = fold(storedAs([impression('r', 700), tick(900)]), plainOptions);
  expect(joiner.watermarkMs).toBe(900);
});

test('fold time: what more bytes follow than may is decided early, and counted', () => {
  const log = storedAs(
    [impression('r', 1_000), impression('s', 1_000), outcome('t'), impression('u', 1_000), outcome('r')],
    100,
  );
  const { examples, joiner } = fold(log, { ...plainOptions, bytesMax: 250 });
  // Event 4 is the third after r, 300 bytes; event 5 the third after s.
  expect(examples.map(shortly)).toEqual(['4:1/0 −', '5:2/0 −']);
  expect(joiner.counts).toMatchObject({ dropped: 2, impressions: 3 });
});

test('fold time: late entries are let go too, and counted once', () => {
  const options = { ...plainOptions, latePositives: 'ignore', lateMs: 1_000_000, bytesMax: 250 } as const;
  const log = storedAs([impression('r', 1_000), tick(5_000), tick(5_000), tick(5_000), outcome('r')], 100);
  const stamped = log.map((logged, i) => ({ ...logged, stored: { timeMs: 1_000 + 4_000 * i, bytes: 100 } }));
  const { joiner } = fold(stamped, options);
  expect(joiner.counts).toMatchObject({ dropped: 1, late: 0 });
  expect([joiner.lateEntries, joiner.openEntries]).toEqual([0, 1]);
});
