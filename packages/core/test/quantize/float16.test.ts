import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  floatFromHalf,
  halfAbove,
  halfBelow,
  halfFrom,
  halfMax,
  roundHalfEven,
} from '../../src/quantize/float16.ts';

/** By the formula of the standard, in float64. */
function plainValue(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >>> 10) & 31;
  const fraction = half & 0x3ff;
  if (exponent === 31) return Number.NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

test('float16: each of the 65,536 decodes as the standard says, and encodes to itself', () => {
  const wrong: number[] = [];
  for (let half = 0; half < 0x1_0000; half += 1) {
    const value = plainValue(half);
    const isOwn = Number.isNaN(value) || halfFrom(value) === half;
    if (!Object.is(floatFromHalf(half), value) || !isOwn) wrong.push(half);
  }
  expect(wrong).toEqual([]);
});

test('float16: encodes to the nearest, ties to even, and no other is nearer', () => {
  const finite = fc.float({ noNaN: true, min: Math.fround(-65_000), max: Math.fround(65_000) });
  fc.assert(
    fc.property(
      fc.oneof(finite, fc.float({ noNaN: true, min: -Math.fround(1e-4), max: Math.fround(1e-4) })),
      (x) => {
        const half = halfFrom(x);
        const off = Math.abs(plainValue(half) - x);
        const magnitude = half & 0x7fff;
        for (const other of [magnitude - 1, magnitude + 1]) {
          if (other < 0 || other >= 0x7c00) continue;
          const otherOff = Math.abs(plainValue((half & 0x8000) | other) - x);
          expect(otherOff).toBeGreaterThanOrEqual(off);
          if (otherOff === off) expect(magnitude % 2).toBe(0);
        }
        expect(plainValue(halfBelow(x))).toBeLessThanOrEqual(x);
        expect(plainValue(halfAbove(Math.abs(x)))).toBeGreaterThanOrEqual(Math.abs(x));
      },
    ),
    { numRuns: 2_000 },
  );
});

test('float16: what is too large becomes the largest, what is not a number stays so', () => {
  expect(floatFromHalf(halfFrom(1e9))).toBe(halfMax);
  expect(floatFromHalf(halfFrom(Number.NEGATIVE_INFINITY))).toBe(-halfMax);
  expect(floatFromHalf(halfFrom(65_519))).toBe(halfMax);
  expect(floatFromHalf(halfFrom(Number.NaN))).toBeNaN();
  expect(Object.is(floatFromHalf(halfFrom(-0)), -0)).toBe(true);
});

test('float16: integers round half to even', () => {
  expect([0.5, 1.5, 2.5, -0.5, -1.5, 126.5, 127.49].map(roundHalfEven)).toEqual([0, 2, 2, 0, -2, 126, 127]);
});
