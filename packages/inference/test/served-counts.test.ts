import { expect, test } from 'vitest';
import { createServedCounts, noteAnswered, noteFailed, totalsOf } from '../src/served-counts.ts';

test('served counts: times of a batch count once for each of its requests', () => {
  const counts = createServedCounts();
  // Three requests came at 10, 12 and 13.
  noteAnswered(counts, 3, 35, { leftMs: 15, pulledMs: 16, forwardedMs: 20, answeredMs: 20.5 });
  expect(counts).toMatchObject({ answered: 3, waitMs: 10, pullMs: 3, forwardMs: 12, answerMs: 1.5 });
  const all = counts.waitMs + counts.pullMs + counts.forwardMs + counts.answerMs;
  expect(all).toBe(3 * 20.5 - 35);
});

test('served counts: those of several models add up, and stay as they are', () => {
  const [a, b] = [createServedCounts(), createServedCounts()];
  a.scored = 5;
  a.lastMs = 7;
  b.scored = 6;
  b.knownItems = 2;
  noteFailed(b, 30);
  const totals = totalsOf([a, b]);
  expect(totals).toMatchObject({ scored: 11, knownItems: 2, failed: 1, failedMs: 30, batches: 0 });
  expect(totals).not.toHaveProperty('lastMs');
  expect(a.scored).toBe(5);
  expect(totalsOf([]).scored).toBe(0);
});
