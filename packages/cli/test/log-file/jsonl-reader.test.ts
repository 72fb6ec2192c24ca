import { expect, test } from 'vitest';
import { createJsonlReader } from '../../src/log-file/jsonl-reader.ts';

const read = (...pieces: string[]) => {
  const reader = createJsonlReader('log.jsonl');
  return pieces.flatMap((piece) => reader.read(piece));
};

test('jsonl-reader: keeps the types of the JSON and numbers lines', () => {
  expect(read('{"a":1,"b":null}\n\n', '{"a":"x","b":[1,"y"]}\r\n{"a":true}')).toEqual([
    { file: 'log.jsonl', line: 1, values: { a: 1, b: null } },
    { file: 'log.jsonl', line: 3, values: { a: 'x', b: [1, 'y'] } },
    { file: 'log.jsonl', line: 4, values: { a: true } },
  ]);
});

test('jsonl-reader: refuses a line that does not parse, naming it', () => {
  expect(() => read('{"a":1}\n{"a":\n')).toThrow('cannot read "log.jsonl", line 2: wanted one JSON object');
});

test.each(['[1]', '"text"', '7', 'null'])('jsonl-reader: refuses %s, which is no object', (text) => {
  expect(() => read(`${text}\n`)).toThrow('line 1: wanted one JSON object');
});
