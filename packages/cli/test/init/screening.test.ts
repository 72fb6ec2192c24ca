import { loglossOf } from '@millrace/core';
import { expect, test } from 'vitest';
import { createColumnProfile } from '../../src/init/column-profile.ts';
import { columnUses } from '../../src/init/column-uses.ts';
import type { LogProfile } from '../../src/init/log-profile.ts';
import { rolesOf } from '../../src/init/log-roles.ts';
import type { Sample } from '../../src/init/sample.ts';
import { gainOfCodes, gainOfLine, screenColumns } from '../../src/init/screen-columns.ts';
import { screenPairs } from '../../src/init/screen-pairs.ts';
import { draw, labelAt, sampleOf, whole } from './generated-log.ts';

/** Screened columns of a sample that is a whole log. */
function screened(sample: Sample) {
  const names = Object.keys(sample.records[0]).filter((name) => name !== 'label');
  const columns = names.map((name) => {
    const column = createColumnProfile(name);
    sample.records.forEach((record, i) => {
      column.observe(record[name], sample.labels[i] === 1 ? 1 : 0);
    });
    return column;
  });
  const positives = sample.labels.reduce((sum, label) => sum + label, 0);
  const profile = { events: sample.records.length, positives, columns } as unknown as LogProfile;
  return screenColumns(columnUses(profile), sample);
}

test('init: screening: the gain of values is the loss saved, event by event (by hand)', () => {
  // Means before each event: 0.5/1, 1.5/2, 1.5/3; value 0 is then seen a second time with one of one ones.
  const codes = { codes: Int32Array.from([0, 1, 0]), size: 2 };
  const labels = Uint8Array.from([1, 0, 1]);
  const third = (1 + 8 * 0.5) / (1 + 8);
  const byHand = (loglossOf(0.5, 1) - loglossOf(third, 1)) / 3;
  expect(gainOfCodes(codes, labels)).toBeCloseTo(byHand, 12);
});

test('init: screening: a line gains where the label follows it, and not on noise or missing values', () => {
  const xs = Float64Array.from({ length: 4_000 }, (_, i) => 4 * draw(i, 1) - 2);
  const follows = Uint8Array.from(xs, (x, i) => labelAt(i, 1.5 * x));
  const noise = Uint8Array.from(xs, (_, i) => labelAt(i, 0));
  expect(gainOfLine(xs, follows)).toBeGreaterThan(0.1);
  expect(gainOfLine(xs, noise)).toBeLessThan(0.001);
  expect(gainOfLine(new Float64Array(4_000).fill(Number.NaN), follows)).toBe(0);
});

test('init: screening: of the forms of a number the one that fits comes first', () => {
  const sample = sampleOf(6_000, (i) => {
    const [straight, bent] = [4 * draw(i, 1) - 2, 4 * draw(i, 2) - 2];
    return { straight, bent, label: labelAt(i, straight + 2 * Math.cos(3 * bent)) };
  });
  const first = Object.fromEntries(
    screened(sample).map(({ use, forms }) => [use.column, forms[0].form.kind]),
  );
  expect(first).toEqual({ straight: 'weighted', bent: 'bucket' });
});

test('init: screening: columns that only say something together are found, others are not', () => {
  const sample = sampleOf(6_000, (i) => {
    const [a, b, c] = [whole(i, 1, 4), whole(i, 2, 4), whole(i, 3, 10)];
    return { a: `a${a}`, b: `b${b}`, c: `c${c}`, label: labelAt(i, (a + b) % 2 === 0 ? 1.5 : -1.5) };
  });
  const pairs = screenPairs(screened(sample), sample);
  expect(pairs.map(({ columns }) => columns)).toEqual([['a', 'b']]);
  expect(pairs[0].gain).toBeGreaterThan(0.1);
});

test('init: screening: columns that add up make no pair', () => {
  const sample = sampleOf(6_000, (i) => {
    const [a, b] = [whole(i, 1, 8), whole(i, 2, 8)];
    return { a: `a${a}`, b: `b${b}`, label: labelAt(i, (a - 3.5) / 2 + (b - 3.5) / 2) };
  });
  expect(screenPairs(screened(sample), sample)).toEqual([]);
});

test('init: roles: scopes by name, and by what goes with a user or an item', () => {
  const { records } = sampleOf(2_000, (i) => {
    const [user, item] = [whole(i, 1, 100), whole(i, 2, 50)];
    return {
      user,
      ad_id: item,
      colour: `c${item % 7}`,
      plan: `p${user % 3}`,
      price: item,
      hour: whole(i, 3, 24),
    };
  });
  const roles = rolesOf(['user', 'ad_id', 'colour', 'plan', 'price', 'hour'], records);
  expect([roles.user, roles.item]).toEqual(['user', 'ad_id']);
  expect(Object.fromEntries(roles.scopes)).toEqual({
    user: 'user',
    ad_id: 'item',
    colour: 'item',
    plan: 'user',
    price: 'item',
    hour: 'context',
  });
});
