import { bodyBytesMax, eventsPerPostMax, type OutcomeRequest } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { outcomeBodies } from '../src/outcome-bodies.ts';

test('sdk: outcome bodies: cut at the number of outcomes', () => {
  const outcomes = Array.from({ length: 2 * eventsPerPostMax + 1 }, () => ({ requestId: 'r' }));
  const lengths = [...outcomeBodies(outcomes)].map((body) => (JSON.parse(body) as OutcomeRequest[]).length);
  expect(lengths).toEqual([10_000, 5_001, 5_000]);
});

test('sdk: outcome bodies: cut at the number of bytes, not of characters', () => {
  // 4,000 items of 700 two-byte letters: 2.9 million characters, 5.7 MB.
  const outcomes = Array.from({ length: 4_000 }, (_, index) => ({
    requestId: `r${index}`,
    item: 'ä'.repeat(700),
  }));
  expect(JSON.stringify(outcomes).length).toBeLessThan(bodyBytesMax);
  const bodies = [...outcomeBodies(outcomes)];
  expect(bodies.length).toBe(2);
  for (const body of bodies) expect(Buffer.byteLength(body)).toBeLessThanOrEqual(bodyBytesMax);
  expect(bodies.flatMap((body) => JSON.parse(body))).toEqual(outcomes);
});

test('sdk: outcome bodies: one outcome that is too long by itself goes out for the server to refuse', () => {
  const [body, ...more] = outcomeBodies([{ requestId: 'x'.repeat(bodyBytesMax) }]);
  expect(body?.length).toBeGreaterThan(bodyBytesMax);
  expect(more).toEqual([]);
});
