import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isName, isRequestId } from '../src/ids.ts';

test('ids: names of models and shards', () => {
  for (const name of ['a', 'ads', 'shard-1', 'a--', `a${'b'.repeat(39)}`]) expect(isName(name)).toBe(true);
  const others = [
    '',
    'A',
    'aB',
    '1a',
    '-a',
    'a_b',
    'a.b',
    'a b',
    'a*',
    'a>',
    'ä',
    'a\n',
    `a${'b'.repeat(40)}`,
  ];
  for (const name of others) expect([name, isName(name)]).toEqual([name, false]);
});

test('ids: request ids', () => {
  for (const id of ['a', 'A-1', 'a.b:c_d-e', '0', 'x'.repeat(64)]) expect(isRequestId(id)).toBe(true);
  for (const id of ['', 'a b', 'a/b', 'ä', 'a\n', '\u0000', 'x'.repeat(65)])
    expect([id, isRequestId(id)]).toEqual([id, false]);
});

test('ids: what is a name is told by its characters alone (property)', () => {
  const letters = 'abcdefghijklmnopqrstuvwxyz';
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[a-z0-9-]{0,42}$/)), (text) => {
      const wanted =
        text.length >= 1 &&
        text.length <= 40 &&
        letters.includes(text[0]) &&
        [...text].every((character) => `${letters}0123456789-`.includes(character));
      expect(isName(text)).toBe(wanted);
    }),
  );
});
