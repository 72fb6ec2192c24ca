import { expect, test } from 'vitest';
import { createLatencyTracker } from '../src/latency-tracker.ts';

/** Records 1, 2, …, `count` ms. */
function recordUpTo(tracker: { record(ms: number): void }, count: number): void {
  for (let ms = 1; ms <= count; ms += 1) tracker.record(ms);
}

/** Buckets are off by 1.6 % at most. */
const about = (wanted: number, found: number | null) => {
  expect(Math.abs((found ?? Number.NaN) / wanted - 1)).toBeLessThan(0.016);
};

test('latency tracker: says nothing before a hundred answers', () => {
  const tracker = createLatencyTracker();
  recordUpTo(tracker, 99);
  expect(tracker.p95Ms).toBeNull();
  tracker.record(100);
  about(95, tracker.p95Ms);
});

test('latency tracker: an estimate stands until 512 answers are in, and then tells of those', () => {
  const tracker = createLatencyTracker();
  for (let i = 0; i < 100; i += 1) tracker.record(2);
  about(2, tracker.p95Ms);
  for (let i = 100; i < 511; i += 1) tracker.record(8);
  about(2, tracker.p95Ms);
  tracker.record(8);
  about(8, tracker.p95Ms);
});

test('latency tracker: forgets: a window that was slow is over with the next one', () => {
  const tracker = createLatencyTracker();
  for (let i = 0; i < 512; i += 1) tracker.record(400);
  about(400, tracker.p95Ms);
  for (let i = 0; i < 512; i += 1) tracker.record(0.25);
  about(0.25, tracker.p95Ms);
});

test('latency tracker: a few slow answers in a hundred do not move the p95', () => {
  const tracker = createLatencyTracker();
  for (let i = 0; i < 512; i += 1) tracker.record(i % 25 === 0 ? 300 : 1);
  about(1, tracker.p95Ms);
});
