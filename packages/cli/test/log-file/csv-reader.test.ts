import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createCsvReader } from '../../src/log-file/csv-reader.ts';
import { readTallied } from './tallied.ts';

const read = (...pieces: string[]) => readTallied((tally) => createCsvReader('log.csv', tally), pieces);
const readStrictly = (...pieces: string[]) =>
  readTallied((tally) => createCsvReader('log.csv', tally), pieces, 'strict');
const valuesOf = (...pieces: string[]) => read(...pieces).records.map(([, values]) => values);
const linesOf = (...pieces: string[]) => read(...pieces).records.map(([line]) => line);

test('csv-reader: names values by the header and numbers lines', () => {
  expect(read('user,label\nu1,1\n', 'u2,0').records).toEqual([
    [2, { user: 'u1', label: '1' }],
    [3, { user: 'u2', label: '0' }],
  ]);
});

test('csv-reader: takes an empty cell as null, quoted or not', () => {
  expect(valuesOf('a,b\n,x\n')).toEqual([{ a: null, b: 'x' }]);
  expect(valuesOf('a,b\n"",x\n')).toEqual([{ a: null, b: 'x' }]);
  expect(valuesOf('a,b\nx,\n')).toEqual([{ a: 'x', b: null }]);
});

test('csv-reader: passes over carriage returns and empty lines', () => {
  expect(read('a,b\r\n\r\n1,2\r\n', '\r\n"3",4\r\n5,"6"\r\n').records).toEqual([
    [3, { a: '1', b: '2' }],
    [5, { a: '3', b: '4' }],
    [6, { a: '5', b: '6' }],
  ]);
});

test('csv-reader: reads commas, line ends and quotes inside quotes, over pieces', () => {
  const pieces = ['a,b\n1,2\n', '"x, y","say ""hi""\n', 'there"\n3,4\n'];
  expect(valuesOf(...pieces)).toEqual([
    { a: '1', b: '2' },
    { a: 'x, y', b: 'say "hi"\nthere' },
    { a: '3', b: '4' },
  ]);
  expect(linesOf(...pieces)).toEqual([2, 3, 5]);
});

test('csv-reader: a column may have any name', () => {
  const [values] = valuesOf('__proto__,constructor\n1,2\n');
  expect(Object.entries(values)).toEqual([
    ['__proto__', '1'],
    ['constructor', '2'],
  ]);
});

test('csv-reader: skips a ragged line, or refuses it when strict', () => {
  const { records, skipped, first } = read('a,b\n1,2\n', '3\n', '4,5,6\n7,8\n');
  expect(records.map(([line]) => line)).toEqual([2, 5]);
  expect(skipped).toEqual({ ragged: [3, 4] });
  expect(first).toContain('wanted 2 cells as in the header, found 1: "3"');
  expect(() => readStrictly('a,b\n1,2\n3\n')).toThrow(
    'cannot read "log", line 3: wanted 2 cells as in the header',
  );
});

test('csv-reader: skips a stray quote, and text behind a closing one', () => {
  expect(read('a,b\n3,x"y"\n5,6\n"7"8,9\n1,2\n')).toMatchObject({
    records: [
      [3, { a: '5', b: '6' }],
      [5, { a: '1', b: '2' }],
    ],
    skipped: { quotes: [2, 4] },
  });
  expect(() => readStrictly('a,b\n3,x"y"\n')).toThrow('line 2: wanted cells quoted as RFC 4180 says');
});

test('csv-reader: a quote left open costs its line, not the rest of the file', () => {
  const rest = Array.from({ length: 5_000 }, (_, i) => `u${i},${i}\n`);
  const { records, skipped } = read('a,b\n', '1,"open\n', ...rest);
  expect(skipped).toEqual({ quotes: [2] });
  expect(records.length).toBe(5_000);
  expect(records[0]).toEqual([3, { a: 'u0', b: '0' }]);
});

test('csv-reader: a quote left open before quoted rows costs its line alone', () => {
  expect(read('a,b\n1,"open\n2,"x"\n3,"y"\n')).toMatchObject({
    records: [
      [3, { a: '2', b: 'x' }],
      [4, { a: '3', b: 'y' }],
    ],
    skipped: { quotes: [2] },
  });
});

test('csv-reader: a quote left open on the last lines costs its line alone', () => {
  expect(read('a,b\n1,2\n3,"4\n5,6').skipped).toEqual({ quotes: [3] });
  expect(linesOf('a,b\n1,2\n3,"4\n5,6')).toEqual([2, 4]);
});

test('csv-reader: of a row over several lines that is ragged the first line is skipped', () => {
  expect(read('a,b\n1,"x\ny",z\n3,4\n')).toMatchObject({
    records: [[4, { a: '3', b: '4' }]],
    // What follows stands by itself then, and its quote is a stray one.
    skipped: { ragged: [2], quotes: [3] },
  });
});

test('csv-reader: a row may have 1,000 lines and no more', () => {
  const row = (lines: number) => `1,"${'x\n'.repeat(lines - 1)}"\n`;
  expect(linesOf('a,b\n', row(1_000), '3,4\n')).toEqual([2, 1_002]);
  expect(read('a,b\n', row(1_002), '3,4\n').skipped.quotes?.[0]).toBe(2);
});

test('csv-reader: a row over several lines may have a million characters and no more', () => {
  const row = (characters: number) => `1,"\n${'x'.repeat(characters - 6)}"\n`;
  expect(linesOf('a,b\n', row(1024 * 1024), '3,4\n')).toEqual([2, 4]);
  expect(read('a,b\n', row(1024 * 1024 + 2), '3,4\n').skipped.quotes?.[0]).toBe(2);
});

test('csv-reader: refuses a header with an empty or repeated name, or that cannot be read', () => {
  expect(() => read('a,\n1,2\n')).toThrow('line 1: wanted a name for every column');
  expect(() => read('a,a\n1,2\n')).toThrow('line 1, column "a": wanted every column once');
  expect(() => read('a,"b\n1,2\n')).toThrow('line 1: wanted a header of column names');
  expect(() => read('\uDC00\n1,2\n')).toThrow('line 1: wanted a header of column names');
});

test('csv-reader: a line that is not UTF-8 ends the quoted row that it stands in', () => {
  expect(read('a,b\n1,"x\n\uDC00\n3,4\n\uDC01\n')).toMatchObject({
    records: [[4, { a: '3', b: '4' }]],
    skipped: { quotes: [2], encoding: [3], 'too-long': [5] },
  });
});

const cell = fc.string({
  unit: fc.constantFrom('a', 'ß', '𐀀', ' ', '0', ',', '"', '\n', '\r\n'),
  maxLength: 5,
});
const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;

test('csv-reader: reads what csv-parse reads (property)', () => {
  const rows = fc.array(fc.tuple(cell, cell), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(rows, fc.boolean(), (given, quotesAll) => {
      const written = (text: string) => (quotesAll || /[",\r\n]/.test(text) ? quoted(text) : text);
      const text = `a,b\n${given.map(([a, b]) => `${written(a)},${written(b)}\n`).join('')}`;
      const expected = parse(text, { columns: true, record_delimiter: ['\r\n', '\n'] }) as {
        a: string;
        b: string;
      }[];
      expect(valuesOf(text)).toEqual(expected.map(({ a, b }) => ({ a: a || null, b: b || null })));
    }),
  );
});

test('csv-reader: in which pieces the lines come makes no difference (property)', () => {
  const lines = fc.array(
    fc.constantFrom('1,2\n', '3,"4\n', '5",6\n', '"",""""\n', '\n', 'x"\n', '\uDC00\n'),
    {
      maxLength: 12,
    },
  );
  fc.assert(
    fc.property(lines, (given) => {
      expect(read('a,b\n', ...given)).toEqual(read(['a,b\n', ...given].join('')));
    }),
  );
});
