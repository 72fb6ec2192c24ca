import fc from 'fast-check';
import { expect, test } from 'vitest';
import { jsonFaultIn } from '../../src/http/json-fault.ts';

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

test('json fault: names line, column, wanted and found', () => {
  expect(jsonFaultIn('{\n\t"a": 1\n\t"b": 2\n}')).toEqual({
    offset: 11,
    line: 3,
    column: 2,
    wanted: '"," or "}"',
    found: '"\\""',
  });
});

const faults: readonly (readonly [text: string, offset: number, wanted: string, found: string])[] = [
  ['', 0, 'a value', 'the end'],
  ['[1,]', 3, 'a value', '"]"'],
  ['{"a" 1}', 5, '":"', '"1"'],
  ['{a:1}', 1, 'a name in double quotes', '"a"'],
  ['"a\nb"', 2, 'the rest of a text and its closing quote', '"\\n"'],
  ['"\\x"', 1, 'an escape sequence', '"\\\\"'],
  ['"\\u12g4"', 1, 'an escape sequence', '"\\\\"'],
  ['01', 1, 'the end', '"1"'],
  ['1.', 1, 'the end', '"."'],
  ['[1}', 2, '"," or "]"', '"}"'],
  ['🙂', 0, 'a value', '"🙂"'],
  ['nul', 0, 'a value', '"n"'],
];

test.each(faults)('json fault: %j', (text, offset, wanted, found) => {
  expect(jsonFaultIn(text)).toMatchObject({ offset, wanted, found });
});

test('json fault: hundreds of thousands of open brackets need no call depth', () => {
  expect(jsonFaultIn('['.repeat(300_000))).toMatchObject({ offset: 300_000, found: 'the end' });
});

test('json fault: finds none exactly when JSON.parse takes the text', () => {
  const piece = fc.constantFrom(
    ...'{}[],:"\\ \n\t-+.019eE\u0000'.split(''),
    'true',
    'null',
    'u00e9',
    '"a"',
    '1.5e-3',
    'é',
    '\u2028',
    '\ud800',
    '[]',
    '{"a":',
  );
  const nearJson = fc
    .tuple(fc.json(), fc.nat(), fc.nat({ max: 2 }), fc.option(piece))
    .map(([text, at, cut, insert]) => {
      const place = at % (text.length + 1);
      return text.slice(0, place) + (insert ?? '') + text.slice(place + cut);
    });
  const anyText = fc.oneof(
    fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join('')),
    nearJson,
    fc.json(),
  );
  fc.assert(
    fc.property(anyText, (text) => {
      expect(jsonFaultIn(text) === null).toBe(isJson(text));
    }),
    { numRuns: 1_000 },
  );
});
