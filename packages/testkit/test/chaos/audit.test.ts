import type { Event } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { auditOf, storedIn } from '../../src/chaos/audit.ts';
import { type Ledger, requestIdOf } from '../../src/chaos/chaos-load.ts';

function ledgerOf(scored: readonly number[], acknowledged: readonly number[]): Ledger {
  return {
    scored: new Set(scored),
    degraded: new Map(),
    failures: [],
    clicked: new Set(acknowledged),
    acknowledged: new Set(acknowledged),
    latenciesMs: [],
  };
}

function storedOf(impressions: readonly number[]): ReturnType<typeof storedIn> {
  return { impressions: new Set(impressions.map(requestIdOf)), outcomes: new Set() };
}

test('chaos: audit: what was stored, learned once and clicked once is all right', () => {
  // 0 was shown (½), 1 was shown and clicked (½ − 1).
  const counts = new Map([
    [0, 0.5],
    [1, -0.5],
  ]);
  expect(auditOf(ledgerOf([0, 1], [1]), storedOf([0, 1]), counts)).toEqual({
    examples: 2,
    lostImpressions: 0,
    lostExamples: 0,
    doubleExamples: 0,
    learnedClicks: 1,
    lostClicks: 0,
    doubleClicks: 0,
    clicksWithoutImpression: 0,
    suspects: [],
  });
});

test('chaos: audit: an example that no row has counted is lost, one counted more than once is double', () => {
  const counts = new Map([
    [0, 0],
    [1, 1],
    [2, -1],
    [3, -1.5],
  ]);
  expect(auditOf(ledgerOf([0, 1, 2, 3], [2, 3]), storedOf([0, 1, 2, 3]), counts)).toMatchObject({
    lostExamples: 1,
    doubleExamples: 3,
    doubleClicks: 2,
    lostClicks: 0,
    suspects: [0, 1, 2, 3],
  });
});

test('chaos: audit: an acknowledged click that was not learned as one is lost', () => {
  // 0 was learned as not clicked; the impression of 1 was never stored.
  const counts = new Map([
    [0, 0.5],
    [1, 0],
  ]);
  expect(auditOf(ledgerOf([0, 1], [0, 1]), storedOf([0]), counts)).toMatchObject({
    examples: 1,
    lostImpressions: 1,
    lostExamples: 0,
    learnedClicks: 0,
    lostClicks: 2,
    clicksWithoutImpression: 1,
  });
});

test('chaos: audit: a score that failed may have been logged all the same, and then counts once', () => {
  const counts = new Map([[0, 0.5]]);
  expect(auditOf(ledgerOf([], []), storedOf([0]), counts)).toMatchObject({
    examples: 1,
    lostImpressions: 0,
    lostExamples: 0,
    doubleExamples: 0,
  });
});

test('chaos: audit: stored: ids of impressions and of outcomes', () => {
  const impression: Event = {
    type: 'impression',
    requestId: 'a',
    timeMs: 0,
    user: {},
    context: {},
    items: [{}],
    scores: new Uint8Array(4),
    version: 0,
  };
  const events: Event[] = [
    impression,
    impression,
    { type: 'outcome', requestId: 'b', timeMs: 0, index: 0, value: 1 },
    { type: 'tick', timeMs: 1 },
  ];
  expect(storedIn(events)).toEqual({ impressions: new Set(['a']), outcomes: new Set(['b']) });
});
