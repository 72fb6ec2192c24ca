import { expect, test } from 'vitest';
import { createLogTally } from '../../src/log-file/log-tally.ts';
import { createVowpalReader } from '../../src/log-file/vowpal-reader.ts';
import { readTallied } from './tallied.ts';

const read = (text: string, columns: 'all' | Set<string> = 'all') =>
  readTallied((tally) => createVowpalReader('log', tally, columns), [text]);
const own = { importance: 1, initial: 0, tag: null };

test('vowpal-reader: a namespace is a list of its features', () => {
  expect(read('1 |user u1 |genres Action Horror\n-1 |user u2\n').records).toEqual([
    [1, { ...own, label: 1, user: ['u1'], genres: ['Action', 'Horror'] }],
    [2, { ...own, label: 0, user: ['u2'] }],
  ]);
});

test('vowpal-reader: reads the line of docs/log-files.md as it says', () => {
  expect(read("1 'a17 |user u1 |item i42 price:9.5 new |genres Action Horror").records[0][1]).toEqual({
    ...own,
    label: 1,
    tag: 'a17',
    user: ['u1'],
    item: ['i42', 'new'],
    'item^price': 9.5,
    genres: ['Action', 'Horror'],
  });
});

test('vowpal-reader: a list may have any name', () => {
  const reader = createVowpalReader('log', createLogTally('log', 'lenient'), 'all');
  const [{ values }] = reader.read('1 |__proto__ x |constructor y:2 z\n');
  expect(Object.entries(values).slice(4)).toEqual([
    ['__proto__', ['x']],
    ['constructor', ['z']],
    ['constructor^y', 2],
  ]);
});

test('vowpal-reader: reads importance, initial value and tag', () => {
  const values = (text: string) => read(text).records[0][1];
  expect(values("0 2.5 -0.1 'first|a x")).toMatchObject({ importance: 2.5, initial: -0.1, tag: 'first' });
  expect(values('1 3 second|a x')).toMatchObject({ label: 1, importance: 3, tag: 'second' });
  expect(values("1 'third |a x")).toMatchObject({ label: 1, importance: 1, tag: 'third' });
});

test('vowpal-reader: features of an unnamed namespace stand in "features"', () => {
  expect(read('1 | a b\n0 |\n').records.map(([, values]) => values.features)).toEqual([['a', 'b'], []]);
});

test('vowpal-reader: a value gets a column, and 1 a place in the list as well', () => {
  const [[, values]] = read('1 |item height:1.5 tall width:1 depth:0 height:0.25').records;
  expect(values).toEqual({
    ...own,
    label: 1,
    item: ['tall', 'width'],
    'item^height': 1.75,
    'item^width': 1,
    'item^depth': 0,
  });
});

test("vowpal-reader: a namespace's scale multiplies all of its values", () => {
  const [[, values]] = read('1 |m:2 a b:0.5 |m c').records;
  expect(values).toEqual({ ...own, label: 1, m: ['b', 'c'], 'm^a': 2, 'm^b': 1 });
});

test('vowpal-reader: makes only the columns of values that are wanted', () => {
  const [[, values]] = read('1 |item height:1.5 width:1', new Set(['item^height'])).records;
  expect(values).toEqual({ ...own, label: 1, item: ['width'], 'item^height': 1.5 });
});

test('vowpal-reader: a namespace named like a column of the record gets a bar before it', () => {
  expect(read('1 |label x |tag y:3').records[0][1]).toEqual({
    ...own,
    label: 1,
    '|label': ['x'],
    '|tag': [],
    '|tag^y': 3,
  });
});

test('vowpal-reader: tells which values are in no list', () => {
  const reader = createVowpalReader('log', createLogTally('log', 'lenient'), 'all');
  expect(reader.read('1 2 |a x:3 y\n1 |a y\n').map(({ weighted }) => weighted)).toEqual([
    ['', 'importance', 'a', 'a^x'],
    [],
  ]);
});

test('vowpal-reader: keeps a label as it is, or null where a line has none', () => {
  const labels = read("2.5 |a x\n0:1:0.3 |a x\n|a x\n1|a x\n'tag |a x\n").records.map(
    ([, { label }]) => label,
  );
  // The fourth line's 1 touches the bar, so it is a tag.
  expect(labels).toEqual([2.5, '0:1:0.3', null, null, null]);
});

test('vowpal-reader: skips what is no line of this format, and passes over blank lines', () => {
  const bad = [
    '1 a b',
    '1 |a x:y',
    '1 |a :3',
    '1 |:2 x',
    '1 |a:z x',
    '1 one |a x',
    '1 1 1 1 |a x',
    '1 |a x:',
  ];
  const { records, skipped, first } = read(`\n${bad.join('\n')}\n\r\n1 |a x\n`);
  expect(skipped).toEqual({ syntax: [2, 3, 4, 5, 6, 7, 8, 9] });
  expect(records.map(([line]) => line)).toEqual([11]);
  expect(first).toBe('wanted a line of Vowpal Wabbit text (no bar), found "1 a b"');
});
