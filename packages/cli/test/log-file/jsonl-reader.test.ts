import { expect, test } from 'vitest';
import { createJsonlReader } from '../../src/log-file/jsonl-reader.ts';
import { readTallied } from './tallied.ts';

const read = (...pieces: string[]) => readTallied((tally) => createJsonlReader('log', tally), pieces);

test('jsonl-reader: keeps the types of the JSON and numbers lines', () => {
  expect(read('{"a":1,"b":null}\n\n', '{"a":"x","b":[1,"y"]}\r\n{"a":true}').records).toEqual([
    [1, { a: 1, b: null }],
    [3, { a: 'x', b: [1, 'y'] }],
    [4, { a: true }],
  ]);
});

test('jsonl-reader: skips a line that does not parse', () => {
  expect(read('{"a":1}\n{"a":\n{"a":2}\n')).toMatchObject({
    records: [
      [1, { a: 1 }],
      [3, { a: 2 }],
    ],
    skipped: { syntax: [2] },
  });
});

test('jsonl-reader: refuses a line that does not parse when strict, naming it', () => {
  const strictly = () =>
    readTallied((tally) => createJsonlReader('log', tally), ['{"a":1}\n{"a":\n'], 'strict');
  expect(strictly).toThrow('cannot read "log", line 2: wanted one JSON object');
});

test.each(['[1]', '"text"', '7', 'null', `${'['.repeat(100_000)}`])(
  'jsonl-reader: skips %.20s, which is no object',
  (text) => {
    expect(read(`${text}\n`)).toMatchObject({ records: [], skipped: { syntax: [1] } });
  },
);

test('jsonl-reader: counts lines that the cutter lost', () => {
  expect(read('\uDC00\n{"a":1}\n\uDC01\n')).toMatchObject({
    records: [[2, { a: 1 }]],
    skipped: { encoding: [1], 'too-long': [3] },
  });
});
