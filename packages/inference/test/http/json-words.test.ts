import fc from 'fast-check';
import { expect, test } from 'vitest';
import { digitsEnd, isSame, jsonText, textEnd } from '../../src/http/json-words.ts';

/** Bytes that mean something, their neighbours, and others. */
const byte = fc.oneof(
  fc.constantFrom(...'"\\0123456789/:!#[]'.split('').map((char) => char.charCodeAt(0)), 0x1f, 0x20, 0x7f),
  fc.nat(255),
);
const bytes = fc.array(byte, { maxLength: 24 }).map((values) => Buffer.from(values));

/** The same in loops of one byte. */
function digitsEndByByte(of: Buffer, at: number): number {
  let next = at;
  while (of[next] >= 0x30 && of[next] <= 0x39) next += 1;
  return next;
}

function textEndByByte(of: Buffer, at: number): number {
  for (let next = at; next < of.length; next += 1) {
    if (of[next] === 0x22) return next;
    if (of[next] < 0x20 || of[next] === 0x5c) return -1;
  }
  return -1;
}

test('json words: texts and digits end where they end byte by byte, from any place', () => {
  fc.assert(
    fc.property(bytes, (of) => {
      // In memory that begins before them and goes on behind.
      const within = Buffer.concat([Buffer.from('3"'), of, Buffer.from('3"')]).subarray(2, 2 + of.length);
      const text = jsonText(within);
      for (let at = 0; at <= of.length; at += 1) {
        expect(digitsEnd(text, at)).toBe(digitsEndByByte(of, at));
        expect(textEnd(text, at)).toBe(textEndByByte(of, at));
      }
    }),
    { numRuns: 2_000 },
  );
});

test('json words: what is the same is so to the last byte, and is all there', () => {
  fc.assert(
    fc.property(bytes, fc.nat(24), fc.nat(24), (of, place, change) => {
      const length = Math.max(0, of.length - place);
      const other = Buffer.concat([Buffer.from('ab'), of.subarray(place)]);
      const at = Math.min(place, of.length);
      expect(isSame(jsonText(of), at, jsonText(other), 2, length)).toBe(true);
      if (change >= length) return;
      other[2 + change] ^= 0x80;
      expect(isSame(jsonText(of), at, jsonText(other), 2, length)).toBe(false);
    }),
  );
  const text = jsonText(Buffer.from('abcdef'));
  expect(isSame(text, 4, jsonText(Buffer.from('efg')), 0, 3)).toBe(false);
});
