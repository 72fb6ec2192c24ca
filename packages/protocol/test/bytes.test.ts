import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  alignedBytes,
  bytesOf,
  floatsAt,
  highWordOf,
  lowWordOf,
  sequenceFrom,
  wordsAt,
} from '../src/bytes.ts';
import { misaligned } from './golden.ts';

test('bytes: a sequence is its two words (property)', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (sequence) => {
      expect(sequenceFrom(lowWordOf(sequence), highWordOf(sequence))).toBe(sequence);
    }),
  );
  // 2^53 − 1 = (2^21 − 1) · 2^32 + 2^32 − 1.
  expect([lowWordOf(2 ** 53 - 1), highWordOf(2 ** 53 - 1)]).toEqual([0xffff_ffff, 0x1f_ffff]);
});

test('bytes: aligned bytes stay, others are copied', () => {
  const bytes = Uint8Array.of(1, 2, 3, 4);
  expect(alignedBytes(bytes)).toBe(bytes);
  const moved = misaligned(bytes, 2);
  const copy = alignedBytes(moved);
  expect([copy.byteOffset % 4, [...copy]]).toEqual([0, [1, 2, 3, 4]]);
});

test('bytes: views read little-endian numbers in place', () => {
  const bytes = Uint8Array.of(9, 9, 9, 9, 1, 2, 0, 0, 0, 0, 0x80, 0xbf).subarray(4);
  expect([...wordsAt(bytes, 0, 1)]).toEqual([0x0201]);
  // −1 is 0xbf800000 in IEEE 754.
  expect([...floatsAt(bytes, 4, 1)]).toEqual([-1]);
  expect(bytesOf(wordsAt(bytes, 0, 2))).toEqual(bytes);
});
