/**
 * Keys. A feature value becomes a 64-bit key, held as two uint32 words since BigInt is slow.
 *
 * Method: two 32-bit lanes over the UTF-8 bytes of the value, each step xor, multiply, rotate, add, with different
 * constants a lane so that the lanes do not collide together; both are mixed into each other at the end (the finaliser is
 * MurmurHash3's fmix32). Not for secrets: it resists accidents, not attackers. Golden values in the test pin it for ever.
 */

/** Where a key is written: words[0] low, words[1] high. */
export type KeyWords = Uint32Array;

const utf8 = new TextEncoder();
let encoded = new Uint8Array(4_096);

/**
 * Writes the key of `text` in the key space (seedLow, seedHigh) to `out[at]`, `out[at + 1]`.
 * @param from,to  the part of `text` that is meant, so that a value within a list need not be cut out; default: all of it.
 */
export function hashText(
  text: string,
  seedLow: number,
  seedHigh: number,
  out: Uint32Array,
  at: number,
  from = 0,
  to = text.length,
): void {
  let a = seedLow ^ 0x9e3779b9;
  let b = seedHigh ^ 0x85ebca6b;
  for (let i = from; i < to; i += 1) {
    const code = text.charCodeAt(i);
    if (code > 0x7f) {
      hashUtf8(text.slice(from, to), seedLow, seedHigh, out, at);
      return;
    }
    a = Math.imul(a ^ code, 0xcc9e2d51);
    a = (((a << 13) | (a >>> 19)) + 0x6b79f4a9) | 0;
    b = Math.imul(b ^ code, 0x1b873593);
    b = (((b << 17) | (b >>> 15)) + 0x52dce729) | 0;
  }
  finish(a, b, to - from, out, at);
}

/** Digits of one number, last first; 2^31 − 1 has ten. */
const digits = new Uint8Array(10);

/**
 * Writes the key of a whole number's decimal text, as hashText does of `String(value)`, without making that text.
 * @param value  0 … 2^31 − 1.
 */
export function hashInteger(
  value: number,
  seedLow: number,
  seedHigh: number,
  out: Uint32Array,
  at: number,
): void {
  let rest = value | 0;
  let length = 0;
  do {
    const tenth = (rest / 10) | 0;
    digits[length] = rest - 10 * tenth;
    rest = tenth;
    length += 1;
  } while (rest > 0);
  let a = seedLow ^ 0x9e3779b9;
  let b = seedHigh ^ 0x85ebca6b;
  for (let i = length - 1; i >= 0; i -= 1) {
    const code = 0x30 + digits[i];
    a = Math.imul(a ^ code, 0xcc9e2d51);
    a = (((a << 13) | (a >>> 19)) + 0x6b79f4a9) | 0;
    b = Math.imul(b ^ code, 0x1b873593);
    b = (((b << 17) | (b >>> 15)) + 0x52dce729) | 0;
  }
  finish(a, b, length, out, at);
}

/** Writes the key of a text that lies in bytes[from, to) as UTF-8, as hashText does of the text. */
export function hashBytes(
  bytes: Uint8Array,
  from: number,
  to: number,
  seedLow: number,
  seedHigh: number,
  out: Uint32Array,
  at: number,
): void {
  let a = seedLow ^ 0x9e3779b9;
  let b = seedHigh ^ 0x85ebca6b;
  for (let i = from; i < to; i += 1) {
    const code = bytes[i];
    a = Math.imul(a ^ code, 0xcc9e2d51);
    a = (((a << 13) | (a >>> 19)) + 0x6b79f4a9) | 0;
    b = Math.imul(b ^ code, 0x1b873593);
    b = (((b << 17) | (b >>> 15)) + 0x52dce729) | 0;
  }
  finish(a, b, to - from, out, at);
}

/** Key of an ordered pair of keys, for crosses: writes to `out[at]`, `out[at + 1]`. May overwrite its inputs. */
export function hashPair(
  low: number,
  high: number,
  otherLow: number,
  otherHigh: number,
  out: Uint32Array,
  at: number,
): void {
  let a = Math.imul(low ^ 0x2545f491, 0xcc9e2d51);
  a = (((a << 13) | (a >>> 19)) + otherLow) | 0;
  a = Math.imul(a ^ high, 0x85ebca6b);
  let b = Math.imul(high ^ 0x4f6cdd1d, 0x1b873593);
  b = (((b << 17) | (b >>> 15)) + otherHigh) | 0;
  b = Math.imul(b ^ low, 0xc2b2ae35);
  a = Math.imul(a ^ otherHigh, 0x9e3779b1);
  b = Math.imul(b ^ otherLow, 0x27d4eb2f);
  finish(a, b, 16, out, at);
}

/** Partition of a key: a mix of both words, so that it says nothing about the slot within the partition's table. */
export function partitionOf(low: number, high: number, partitions: number): number {
  const mixed = fmix(Math.imul(low, 0x9e3779b1) ^ high);
  // Exact in a double, and small, so that cutting it to an integer is the floor.
  return ((mixed / 4_294_967_296) * partitions) | 0;
}

/** 32-bit hash of a name: table ids, fingerprints of short texts. */
export function hashName(text: string): number {
  const words = new Uint32Array(2);
  hashText(text, 0, 0, words, 0);
  return words[0];
}

/** Bijective mix of one word (MurmurHash3 fmix32); result as uint32. */
export function fmix(word: number): number {
  let h = word;
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  h ^= h >>> 16;
  return h >>> 0;
}

function hashUtf8(text: string, seedLow: number, seedHigh: number, out: Uint32Array, at: number): void {
  if (text.length * 3 > encoded.length) encoded = new Uint8Array(text.length * 3);
  const { written } = utf8.encodeInto(text, encoded);
  hashBytes(encoded, 0, written, seedLow, seedHigh, out, at);
}

function finish(a: number, b: number, length: number, out: Uint32Array, at: number): void {
  let low = a ^ length;
  let high = b ^ length;
  low = (low + high) | 0;
  high = (high + low) | 0;
  low = fmix(low) | 0;
  high = fmix(high) | 0;
  low = (low + high) | 0;
  high = (high + low) | 0;
  out[at] = low;
  out[at + 1] = high;
}
