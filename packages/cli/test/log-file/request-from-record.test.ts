import type { ModelFile } from '@millrace/protocol';
import { expect, test } from 'vitest';
import type { LogRecord } from '../../src/log-file/log-record.ts';
import { requestFromRecord } from '../../src/log-file/request-from-record.ts';

const model: ModelFile = {
  name: 'm',
  label: 'label',
  timestamp: 'time',
  item: 'item',
  tables: [{ name: 't', wide: { optimizer: { type: 'sgd', learningRate: 0.1 } } }],
  fields: [
    { name: 'user', type: 'sparse', scope: 'user', table: 't' },
    { name: 'item', type: 'sparse', scope: 'item', table: 't' },
    { name: 'genres', type: 'multi', scope: 'item', table: 't' },
    { name: 'price', type: 'dense', scope: 'item' },
    { name: 'hour', type: 'sparse', table: 't' },
  ],
  net: 'linear',
  loss: 'logloss',
  seed: 1,
};
const values = {
  time: '1362062307',
  label: '1',
  user: 'u1',
  item: '42',
  genres: 'a|b',
  price: '9.5',
  hour: '14',
};
const record = (changed: Record<string, unknown> = {}): LogRecord => ({
  file: 'log.csv',
  line: 7,
  values: { ...values, ...changed },
});

test('request-from-record: places each column by the scope of its field', () => {
  expect(requestFromRecord(model, record({ unused: 'x' }))).toEqual({
    line: 7,
    request: {
      model: 'm',
      user: { user: 'u1' },
      context: { hour: '14' },
      items: [{ item: '42', genres: 'a|b', price: 9.5 }],
    },
    label: 1,
    timeMs: 1_362_062_307_000,
  });
});

test('request-from-record: passes missing values on as null', () => {
  const { request } = requestFromRecord(model, record({ user: null, price: '', genres: null }));
  expect(request.user).toEqual({ user: null });
  expect(request.items[0]).toEqual({ item: '42', genres: null, price: null });
});

test('request-from-record: keeps arrays of multi-valued fields and typed JSON values', () => {
  const { request } = requestFromRecord(model, record({ genres: ['a', 3], item: 42, price: 2, user: true }));
  expect(request.items[0]).toEqual({ item: 42, genres: ['a', 3], price: 2 });
  expect(request.user).toEqual({ user: true });
});

test.each([
  [0, 0],
  ['0', 0],
  [false, 0],
  ['false', 0],
  [1, 1],
  ['1', 1],
  [true, 1],
  ['true', 1],
])('request-from-record: reads the label %j as %i', (found, label) => {
  expect(requestFromRecord(model, record({ label: found })).label).toBe(label);
});

test.each(['yes', '2', 2, null, '', '0.5', -1])('request-from-record: refuses the label %j', (label) => {
  expect(() => requestFromRecord(model, record({ label }))).toThrow(
    `cannot read "log.csv", line 7, column "label": wanted 0 or 1, found ${JSON.stringify(label)}`,
  );
});

test.each([
  ['1362062307', 1_362_062_307_000],
  [1362062307.25, 1_362_062_307_250],
  ['1362062307123', 1_362_062_307_123],
  [0, 0],
  ['2013-02-28T14:38:27Z', 1_362_062_307_000],
  ['2013-02-28 14:38:27', 1_362_062_307_000],
  ['2013-02-28T15:38:27.5+01:00', 1_362_062_307_500],
  ['2013-02-28', 1_362_009_600_000],
])('request-from-record: reads the time %j', (time, timeMs) => {
  expect(requestFromRecord(model, record({ time })).timeMs).toBe(timeMs);
});

test.each(['yesterday', '28.02.2013', -5, '1362062307123456', null, '2013-13-45'])(
  'request-from-record: refuses the time %j',
  (time) => {
    expect(() => requestFromRecord(model, record({ time }))).toThrow(
      'column "time": wanted Unix seconds, Unix ms or ISO 8601',
    );
  },
);

test('request-from-record: has no time when the model names no timestamp', () => {
  const { timestamp: _, ...timeless } = model;
  expect(requestFromRecord(timeless, record({ time: 'anything' })).timeMs).toBeNull();
});

test.each(['abc', '0x10', 'Infinity', 'NaN', true, [1]])(
  'request-from-record: refuses %j for a dense field',
  (price) => {
    expect(() => requestFromRecord(model, record({ price }))).toThrow('column "price": wanted a number');
  },
);

test('request-from-record: reads decimals with sign and exponent', () => {
  expect(requestFromRecord(model, record({ price: '-1.5e2' })).request.items[0].price).toBe(-150);
});

test('request-from-record: refuses an array for a single-valued field and an object for any', () => {
  expect(() => requestFromRecord(model, record({ user: ['a'] }))).toThrow(
    'column "user": wanted text, a number',
  );
  expect(() => requestFromRecord(model, record({ genres: { a: 1 } }))).toThrow(
    'column "genres": wanted text or',
  );
});

test('request-from-record: refuses a truth value for a list, and what no score request may carry', () => {
  const refuses = (changed: Record<string, unknown>) =>
    expect(() => requestFromRecord(model, record(changed))).toThrow('cannot read "log.csv", line 7');
  refuses({ genres: true });
  refuses({ item: 2 ** 53 });
  refuses({ price: 1e300 });
  refuses({ item: 'x'.repeat(1_025) });
  refuses({ genres: Array.from({ length: 1_001 }, () => 'a') });
  refuses({ genres: Array.from({ length: 1_001 }, () => 'a').join('|') });
});

test('request-from-record: cuts a text of many values, which is too long for one', () => {
  const genres = Array.from({ length: 600 }, (_, i) => `g${i}`);
  const { request } = requestFromRecord(model, record({ genres: genres.join('|') }));
  expect(request.items[0].genres).toEqual(genres);
});

test('request-from-record: refuses a record without one of the columns, naming those there', () => {
  const { hour: _, ...without } = values;
  expect(() => requestFromRecord(model, { file: 'log.csv', line: 2, values: without })).toThrow(
    'line 2, column "hour": wanted that column (or null in it), found only time, label, user, item, genres, price',
  );
});

test('request-from-record: a rate of kept negatives becomes an offset, and no other value does', () => {
  const sampled = { ...model, negativeRate: 'rate' };
  expect(requestFromRecord(sampled, record({ rate: '0.25' })).offset).toBeCloseTo(Math.log(4), 12);
  expect(requestFromRecord(sampled, record({ rate: 1 })).offset).toBeCloseTo(0, 12);
  expect('offset' in requestFromRecord(model, record())).toBe(false);
  for (const rate of ['', '0', -0.5, 2, 'x', null]) {
    expect(() => requestFromRecord(sampled, record({ rate }))).toThrow('a rate above 0 and at most 1');
  }
});
