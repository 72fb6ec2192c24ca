import { expect, test } from 'vitest';
import { createStaleness } from '../src/staleness.ts';

/** Heads of three partitions told at 1,000, 2,000 and 3,000 ms. */
function withHistory() {
  const staleness = createStaleness();
  staleness.note([10, 0, 5], 1_000);
  staleness.note([10, 20, 5], 2_000);
  staleness.note([40, 20, 50], 3_000);
  return staleness;
}

test('staleness: is not known before the first heads', () => {
  expect(createStaleness().ofRead([0], [1_000], 1, 5)).toBeNull();
  expect(createStaleness().ofRead([], [], 0, 5)).toBeNull();
});

test.each([
  { rows: 'that reached the newest heads', sequences: [40, 20, 50], staleMs: 500 },
  { rows: 'beyond the newest heads', sequences: [99, 99, 99], staleMs: 500 },
  { rows: 'one behind the newest heads', sequences: [39, 20, 50], staleMs: 1_500 },
  { rows: 'just at the second heads', sequences: [10, 20, 5], staleMs: 1_500 },
  { rows: 'one partition behind the second heads', sequences: [40, 19, 50], staleMs: 2_500 },
  { rows: 'just at the first heads', sequences: [10, 0, 5], staleMs: 2_500 },
  { rows: 'older than all that is kept', sequences: [9, 0, 5], staleMs: 2_500 },
])('staleness: rows $rows are $staleMs ms stale', ({ sequences, staleMs }) => {
  expect(withHistory().ofRead([0, 1, 2], sequences, 3, 3_500)).toBe(staleMs);
});

test('staleness: only the partitions that were read count, the first so many of them', () => {
  const staleness = withHistory();
  expect(staleness.ofRead([1], [20], 1, 3_500)).toBe(500);
  // Partition 2 is behind, and listed beyond the count.
  expect(staleness.ofRead([1, 2], [20, 0], 1, 3_500)).toBe(500);
  expect(staleness.ofRead([2], [0], 1, 3_500)).toBe(2_500);
  // Sequences stand by place in the list, not by partition.
  expect(staleness.ofRead(Uint16Array.of(2, 0), Float64Array.of(50, 10), 2, 3_500)).toBe(1_500);
  expect(staleness.ofRead([], [], 0, 3_500)).toBe(500);
});

test('staleness: a partition that heads do not name has nothing to reach', () => {
  expect(withHistory().ofRead([7], [0], 1, 3_500)).toBe(500);
});

test('staleness: repeated heads renew it', () => {
  const staleness = withHistory();
  staleness.note([40, 20, 50], 4_000);
  expect(staleness.ofRead([0], [40], 1, 4_100)).toBe(100);
});

test('staleness: 1,024 heads are kept; older rows have the age of the oldest', () => {
  const staleness = createStaleness();
  for (let n = 1; n <= 1_030; n += 1) staleness.note([n], 1_000 * n);
  const nowMs = 1_030_000;
  // Kept are the heads 7 … 1,030.
  expect(staleness.ofRead([0], [1_030], 1, nowMs)).toBe(0);
  expect(staleness.ofRead([0], [8], 1, nowMs)).toBe(1_022_000);
  expect(staleness.ofRead([0], [7], 1, nowMs)).toBe(1_023_000);
  expect(staleness.ofRead([0], [6], 1, nowMs)).toBe(1_023_000);
  expect(staleness.ofRead([0], [0], 1, nowMs)).toBe(1_023_000);
});
