import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createCsvReader } from '../../src/log-file/csv-reader.ts';

const read = (...pieces: string[]) => {
  const reader = createCsvReader('log.csv');
  return pieces.flatMap((piece) => reader.read(piece));
};

test('csv-reader: names values by the header and numbers lines', () => {
  expect(read('user,label\nu1,1\n', 'u2,0')).toEqual([
    { file: 'log.csv', line: 2, values: { user: 'u1', label: '1' } },
    { file: 'log.csv', line: 3, values: { user: 'u2', label: '0' } },
  ]);
});

test('csv-reader: takes an empty cell as null, quoted or not', () => {
  expect(read('a,b\n,x\n').map((record) => record.values)).toEqual([{ a: null, b: 'x' }]);
  expect(read('a,b\n"",x\n').map((record) => record.values)).toEqual([{ a: null, b: 'x' }]);
});

test('csv-reader: passes over a byte order mark, carriage returns and empty lines', () => {
  const records = read('\uFEFFa,b\r\n\r\n1,2\r\n', '\r\n3,4');
  expect(records.map((record) => record.line)).toEqual([3, 5]);
  expect(records.map((record) => record.values)).toEqual([
    { a: '1', b: '2' },
    { a: '3', b: '4' },
  ]);
});

test('csv-reader: reads commas, line ends and quotes inside quotes', () => {
  const records = read('a,b\n1,2\n', '"x, y","say ""hi""\nthere"\n3,4\n');
  expect(records.map((record) => record.values)).toEqual([
    { a: '1', b: '2' },
    { a: 'x, y', b: 'say "hi"\nthere' },
    { a: '3', b: '4' },
  ]);
  expect(records.map((record) => record.line)).toEqual([2, 4, 5]);
});

test('csv-reader: numbers lines after quoted pieces with empty lines', () => {
  expect(read('a,b\n', '"1",2\n\n"3",4\n', '5,6\n').map((record) => record.line)).toEqual([2, 4, 5]);
});

test('csv-reader: refuses a ragged line, naming it', () => {
  expect(() => read('a,b\n1,2\n', '3\n')).toThrow(
    'cannot read "log.csv", line 3: wanted 2 cells as in the header, found 1: "3"',
  );
  expect(() => read('a,b\n"1",2,3\n')).toThrow('line 2: wanted 2 cells');
});

test('csv-reader: refuses stray and open quotes, naming the line', () => {
  expect(() => read('a,b\n1,2\n', '3,x"y"\n')).toThrow('line 3: wanted cells quoted as RFC 4180 says');
  expect(() => read('a,b\n1,2\n3,"4\n')).toThrow('line 3: wanted cells quoted as RFC 4180 says');
});

test('csv-reader: refuses a header with an empty or repeated name', () => {
  expect(() => read('a,\n1,2\n')).toThrow('line 1: wanted a name for every column');
  expect(() => read('a,a\n1,2\n')).toThrow('line 1, column "a": wanted every column once');
});

test('csv-reader: quoted and plain rows give the same records (property)', () => {
  const cell = fc.string({ unit: fc.constantFrom('a', 'ß', ' ', '0', '-', '|'), maxLength: 4 });
  fc.assert(
    fc.property(fc.array(fc.tuple(cell, cell), { minLength: 1, maxLength: 6 }), (rows) => {
      const quoted = rows.map((row) => `${row.map((text) => `"${text}"`).join(',')}\n`).join('');
      const plain = rows.map((row) => `${row.join(',')}\n`).join('');
      expect(read('a,b\n', quoted)).toEqual(read('a,b\n', plain));
    }),
  );
});
