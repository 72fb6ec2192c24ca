/**
 * IEEE 754 binary16 in a uint16: sign, 5 bits of exponent, 10 of fraction. Node 20 has no Float16Array.
 * Values beyond ±65504 become ±65504, since a stored infinity would make NaN of a score; a NaN stays one, so that it shows.
 */

const float = new Float32Array(1);
const word = new Uint32Array(float.buffer);

/** Largest binary16. */
export const halfMax = 65_504;
const notANumber = 0x7e00;
/** 2^52 · 1.5: adding it to a float64 of magnitude below 2^51 and taking it away again rounds to an integer, half to even. */
const rounder = 6_755_399_441_055_744;
/** Binary16 has exponents biased by 15, float32 by 127. */
const rebias = 2 ** 112;

/** Nearest integer, ties to even, for magnitudes below 2^51. */
export function roundHalfEven(x: number): number {
  return x + rounder - rounder;
}

/** The nearest binary16, ties to even. @returns its 16 bits. */
export function halfFrom(x: number): number {
  float[0] = x;
  const bits = word[0];
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fff_ffff;
  if (magnitude >= 0x477f_e000) return magnitude > 0x7f80_0000 ? notANumber : sign | 0x7bff;
  // Below 2^−14 halves are 2^−24 apart; what rounds up to 2^−14 gets its bits by itself.
  if (magnitude < 0x3880_0000) return sign | roundHalfEven(Math.abs(float[0]) * 0x100_0000);
  const shifted = magnitude - 0x3800_0000;
  return sign | ((shifted + 0xfff + ((shifted >>> 13) & 1)) >>> 13);
}

/** The value of a binary16; exact. */
export function floatFromHalf(half: number): number {
  if ((half & 0x7c00) === 0x7c00) return Number.NaN;
  // As a float32 the shifted bits are the value · 2^−112, subnormals too.
  word[0] = (half & 0x7fff) << 13;
  const value = float[0] * rebias;
  return (half & 0x8000) === 0 ? value : -value;
}

/** The largest binary16 that is not above x; x within ±halfMax. */
export function halfBelow(x: number): number {
  const half = halfFrom(x);
  if (floatFromHalf(half) <= x) return half;
  if (half === 0) return 0x8001;
  return (half & 0x8000) === 0 ? half - 1 : half + 1;
}

/** The smallest binary16 that is not below x; 0 ≤ x ≤ halfMax. */
export function halfAbove(x: number): number {
  const half = halfFrom(x);
  return floatFromHalf(half) >= x ? half : half + 1;
}
