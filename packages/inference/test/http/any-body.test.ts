import type { errorTable } from '@millrace/protocol';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Listening, openServer } from './stub-service.ts';

let server: Listening;
beforeAll(async () => {
  server = await openServer();
});
afterAll(() => server.close());

/** Hundreds of requests, on a machine that may be busy. */
const slow = { timeout: 60_000 };

const routes = [
  ['POST', '/v1/score'],
  ['POST', '/v1/events'],
  ['PUT', '/v1/models/demo'],
] as const;

/** Values that are nearly what a route wants, so that runs get past the first check. */
const nearFeatures = fc.dictionary(fc.string({ maxLength: 5 }), fc.jsonValue({ maxDepth: 2 }), {
  maxKeys: 4,
});
const nearScore = fc.record(
  {
    items: fc.oneof(fc.array(nearFeatures, { maxLength: 4 }), fc.jsonValue()),
    user: fc.oneof(nearFeatures, fc.jsonValue()),
    context: nearFeatures,
    model: fc.oneof(fc.constant('demo'), fc.jsonValue()),
    requestId: fc.oneof(fc.string(), fc.jsonValue()),
    log: fc.oneof(fc.boolean(), fc.jsonValue()),
  },
  { requiredKeys: ['items'] },
);
const nearOutcome = fc.record(
  {
    requestId: fc.oneof(fc.constant('r1'), fc.jsonValue()),
    index: fc.oneof(fc.integer(), fc.jsonValue()),
    item: fc.jsonValue(),
    value: fc.oneof(fc.constantFrom(0, 1), fc.jsonValue()),
  },
  { requiredKeys: [] },
);
const body = fc.oneof(
  fc.json(),
  fc.string(),
  nearScore.map((value) => JSON.stringify(value)),
  fc.oneof(nearOutcome, fc.array(nearOutcome, { maxLength: 4 })).map((value) => JSON.stringify(value)),
);

test('http: any body at all gets a good answer or a coded refusal that blames the caller', slow, async () => {
  const statuses = new Set<number>();
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...routes), body, async ([method, path], text) => {
      const headers = { 'content-type': 'application/json' };
      const response = await fetch(server.url + path, { method, headers, body: text });
      const answer = (await response.json()) as { error?: { code: keyof typeof errorTable } };
      statuses.add(response.status);
      if (response.ok) return;
      expect(answer.error?.code).toMatch(/^MILL_BAD_(JSON|REQUEST)$/);
      expect(response.status).toBe(400);
    }),
    { numRuns: 250 },
  );
  // The run means something only if both kinds of answer came up.
  expect([...statuses].sort()).toEqual(expect.arrayContaining([200, 400]));
  expect(server.log.filter(({ level }) => level === 'error')).toEqual([]);
});
