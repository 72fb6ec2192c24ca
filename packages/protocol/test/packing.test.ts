import fc from 'fast-check';
import { expect, test } from 'vitest';
import { jsonBytes, jsonFrom, packed, unpacked } from '../src/packing.ts';
import { toHex } from './golden.ts';

test('packing: writes maps, numbers and text as any reader of MessagePack knows them', () => {
  // Map of 16-bit length; integers in their shortest form, those beyond 32 bits as float64; text with its byte length.
  expect(toHex(packed({ a: 1 }))).toBe('de0001' + 'a161' + '01');
  expect(toHex(packed([200, 70_000, -5, 0.5, 2 ** 40]))).toBe(
    '95' + 'ccc8' + 'ce00011170' + 'fb' + 'cb3fe0000000000000' + 'cb4270000000000000',
  );
  expect(toHex(packed(['é', null, true, Uint8Array.of(7)]))).toBe('94' + 'a2c3a9' + 'c0' + 'c3' + 'c40107');
});

test('packing: integers of 64 bits are read as numbers', () => {
  expect(unpacked(Uint8Array.of(0xcf, 0, 0, 1, 0, 0, 0, 0, 0))).toBe(2 ** 40);
  expect(unpacked(Uint8Array.of(0xd3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe))).toBe(-2);
});

test('packing: JSON bytes are UTF-8, and other bytes are refused', () => {
  expect(jsonFrom(jsonBytes({ name: 'Zürich 😀' }))).toEqual({ name: 'Zürich 😀' });
  // A lone continuation byte inside a text.
  expect(() => jsonFrom(Uint8Array.of(0x22, 0x80, 0x22))).toThrow();
});

test('packing: unpacked gives back what was packed (property)', () => {
  const withoutNegativeZero = fc
    .jsonValue({ noUnicodeString: false })
    .map((value) => JSON.parse(JSON.stringify(value)));
  fc.assert(
    fc.property(withoutNegativeZero, (value) => {
      // The decoder renames the one name that would reach an object's prototype.
      fc.pre(!JSON.stringify(value).includes('__proto__'));
      expect(unpacked(packed(value))).toEqual(value);
    }),
    { numRuns: 100 },
  );
});
