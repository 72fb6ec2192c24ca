import { featuresOf } from '@millrace/model';
import { expect, test } from 'vitest';
import { createLogRequests } from '../../src/compress/log-requests.ts';
import type { Example } from '../../src/log-file/index.ts';

const exampleOf = (line: number): Example => ({
  line,
  label: 0,
  timeMs: null,
  request: { model: 'ads', user: { user: `u${line}` }, context: { hour: line }, items: [{ item: line }] },
});

function requestsOf(records: number, seed: number, count: number, candidates: number) {
  const log = createLogRequests(seed);
  for (let line = 0; line < records; line += 1) log.take(exampleOf(line));
  return log.draw(count, candidates);
}

test('log requests: user and context of one record with the items of others', () => {
  const requests = requestsOf(4, 1, 50, 20);
  expect(requests).toHaveLength(50);
  const owners = new Set<unknown>();
  for (const { user, context, items } of requests) {
    const own = Number(context.hour);
    expect(user).toEqual({ user: `u${own}` });
    owners.add(own);
    const found = Array.from(featuresOf(items) as readonly { item: number }[], ({ item }) => item);
    expect(found).toHaveLength(20);
    expect(found).not.toContain(own);
    expect(found.every((item) => item >= 0 && item < 4)).toBe(true);
  }
  expect(owners.size).toBe(4);
});

test('log requests: a log of one record has no other item', () => {
  expect(featuresOf(requestsOf(1, 1, 1, 2)[0].items)).toEqual([{ item: 0 }, { item: 0 }]);
});

test('log requests: the same seed draws the same, another one others', () => {
  expect(requestsOf(50, 3, 5, 5)).toEqual(requestsOf(50, 3, 5, 5));
  expect(requestsOf(50, 4, 5, 5)).not.toEqual(requestsOf(50, 3, 5, 5));
});

test('log requests: of a long log records of every part are drawn alike', () => {
  const records = 60_000;
  const items = requestsOf(records, 1, 40, 100).flatMap((request) =>
    Array.from(featuresOf(request.items) as readonly { item: number }[], ({ item }) => item),
  );
  // A third in each third, give or take five deviations of 4,000 draws.
  for (const third of [0, 1, 2]) {
    const from = (third * records) / 3;
    const found = items.filter((item) => item >= from && item < from + records / 3).length;
    expect(Math.abs(found - 4_000 / 3)).toBeLessThan(5 * Math.sqrt(4_000 * (1 / 3) * (2 / 3)));
  }
});
