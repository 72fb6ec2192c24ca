import { expect, test } from 'vitest';
import { createExpiry } from '../../src/expiry/create-expiry.ts';
import { tickMsOf, tickOf } from '../../src/expiry/expiry.ts';

const hour = 3_600_000;
const start = 1_700_000_000_000;

test('expiry: ticks: 256 to the time that matters, a millisecond at least, never 0 but for an unknown time', () => {
  expect([tickMsOf(256_000), tickMsOf(10), tickMsOf(0.5)]).toEqual([1_000, 1, 1]);
  expect([tickOf(0, 5), tickOf(4, 5), tickOf(2 ** 32 * 5, 5), tickOf(start, 1_000)]).toEqual([
    0, 1, 1, 1_700_000_000,
  ]);
});

test('expiry: age: a row goes once nothing was learned for so long, never before, at most two ticks after', () => {
  const age = createExpiry({ type: 'age', afterMs: hour });
  const clock = new Uint32Array(3);
  age.touch(clock, 1, start, 5);
  expect([clock[0], clock[2], age.clockWords]).toEqual([0, 0, 1]);
  const tick = tickMsOf(hour);
  for (const [later, over] of [
    [0, false],
    [hour - 1, false],
    [hour, false],
    [hour + 2 * tick, true],
    [90 * 24 * hour, true],
  ] as const)
    expect([later, age.isOver(clock, 1, start + later)]).toEqual([later, over]);
  // What is learned again starts anew.
  age.touch(clock, 1, start + hour, 1);
  expect(age.isOver(clock, 1, start + 2 * hour)).toBe(false);
});

test('expiry: age: times that uint32 milliseconds could not hold', () => {
  const age = createExpiry({ type: 'age', afterMs: 3_650 * 24 * hour });
  const clock = new Uint32Array(1);
  age.touch(clock, 0, start, 1);
  expect(age.isOver(clock, 0, start + 3_650 * 24 * hour - 1)).toBe(false);
  expect(age.isOver(clock, 0, start + 3_700 * 24 * hour)).toBe(true);
  const short = createExpiry({ type: 'age', afterMs: 1 });
  short.touch(clock, 0, start, 1);
  expect([short.isOver(clock, 0, start + 1), short.isOver(clock, 0, start + 2)]).toEqual([false, true]);
});

function scoreOf(clock: Uint32Array): number {
  return new Float32Array(clock.buffer)[1];
}

test('expiry: score: +1 an occurrence, halved every half-life since the row was made, hand-computed', () => {
  const score = createExpiry({ type: 'score', halfLifeMs: 256_000, scoreMin: 0.3 });
  const clock = new Uint32Array(2);
  score.touch(clock, 0, start, 3);
  expect(scoreOf(clock)).toBe(3);
  // 255 s later nothing is halved yet; one half-life later 3 + 1 is 2, and 2 more come.
  score.touch(clock, 0, start + 255_000, 1);
  expect(scoreOf(clock)).toBe(4);
  score.touch(clock, 0, start + 300_000, 2);
  expect(scoreOf(clock)).toBe(4);
  // The anchor stands at start + 256 s: 4 halvings later it is 0.25, below 0.3; after 3 it was 0.5.
  expect(score.isOver(clock, 0, start + 256_000 * 5 - 1_000)).toBe(false);
  expect(score.isOver(clock, 0, start + 256_000 * 5)).toBe(true);
  expect(scoreOf(clock)).toBe(4);
  // Any time later, and without a power of anything.
  expect(score.isOver(clock, 0, start + 1e12)).toBe(true);
  score.touch(clock, 0, start + 1e11, 1);
  expect(scoreOf(clock)).toBe(1);
});

test.each([
  { type: 'age', afterMs: hour },
  { type: 'score', halfLifeMs: hour, scoreMin: 0.5 },
] as const)('expiry: $type: a clock that was not set is set at the first time that is known', (spec) => {
  const expiry = createExpiry(spec);
  const clock = new Uint32Array(2);
  expiry.touch(clock, 0, 0, 1);
  expect(clock[0]).toBe(0);
  expiry.touch(clock, 0, start, 0);
  expect(clock[0]).toBe(tickOf(start, tickMsOf(hour)));
  expect(expiry.isOver(clock, 0, start + hour)).toBe(false);
  expect(expiry.isOver(clock, 0, start + 3 * hour)).toBe(true);
});
