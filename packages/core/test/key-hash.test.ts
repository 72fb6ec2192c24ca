import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fmix, hashInteger, hashName, hashPair, hashText, partitionOf } from '../src/key-hash.ts';

type Words = readonly [number, number];

function keyOf(text: string, seedLow = 0, seedHigh = 0): Words {
  const words = new Uint32Array(2);
  hashText(text, seedLow, seedHigh, words, 0);
  return [words[0], words[1]];
}

function pairOf(low: number, high: number, otherLow: number, otherHigh: number): Words {
  const words = new Uint32Array(2);
  hashPair(low, high, otherLow, otherHigh, words, 0);
  return [words[0], words[1]];
}

/** The method of key-hash.ts over bytes in arbitrary precision: slow, plain, and written apart from it. */
function keyOfBytes(bytes: Iterable<number>, seedLow: number, seedHigh: number): Words {
  const mask = 0xffff_ffffn;
  const rotated = (x: bigint, by: bigint) => ((x << by) | (x >> (32n - by))) & mask;
  let a = BigInt(seedLow) ^ 0x9e3779b9n;
  let b = BigInt(seedHigh) ^ 0x85ebca6bn;
  let length = 0n;
  for (const byte of bytes) {
    a = (rotated(((a ^ BigInt(byte)) * 0xcc9e2d51n) & mask, 13n) + 0x6b79f4a9n) & mask;
    b = (rotated(((b ^ BigInt(byte)) * 0x1b873593n) & mask, 17n) + 0x52dce729n) & mask;
    length += 1n;
  }
  let low = a ^ length;
  let high = b ^ length;
  low = (low + high) & mask;
  high = (high + low) & mask;
  low = BigInt(fmix(Number(low)));
  high = BigInt(fmix(Number(high)));
  low = (low + high) & mask;
  high = (high + low) & mask;
  return [Number(low), Number(high)];
}

test('key hash: the key of a whole number is that of its text', () => {
  const words = new Uint32Array(2);
  const check = (value: number, seedLow: number, seedHigh: number) => {
    hashInteger(value, seedLow, seedHigh, words, 0);
    expect([words[0], words[1]]).toEqual(keyOf(String(value), seedLow, seedHigh));
  };
  for (const value of [0, -0, 9, 10, 99, 100, 1_000_000_000, 2 ** 31 - 1]) check(value, 1, 2);
  fc.assert(fc.property(fc.nat(2 ** 31 - 1), anyWord, anyWord, check));
});

const surrogateFree = fc.string({ unit: 'binary', maxLength: 60 });
const anyWord = fc.nat(2 ** 32 - 1);

// A stored row is found again by its key alone, so these must never change. Computed by another program from the method.
test.each([
  { text: '', plain: [0x835859e1, 0x0463d506], seeded: [0x27e6c3d1, 0x5319828b] },
  { text: 'a', plain: [0x0d2d9c92, 0x08d5a32c], seeded: [0x7d7a1f98, 0xb4d9d7da] },
  { text: 'abc', plain: [0xc8d12c07, 0x37e81974], seeded: [0x350909a3, 0x53f7c84b] },
  { text: 'user:123456789', plain: [0x44a9568a, 0x372082d4], seeded: [0x67ea8d6c, 0x51b86f0d] },
  { text: 'a'.repeat(64), plain: [0x68fbb4ad, 0x65efb8ed], seeded: [0xda557e6e, 0x790024e7] },
  { text: 'é', plain: [0x0bd82ea2, 0x10e7497b], seeded: [0xf9e60dcc, 0x58cb04c4] },
  { text: 'Zürich', plain: [0x235a8383, 0x9e02ef11], seeded: [0xb1bcca4c, 0x8b79c343] },
  { text: '日本語', plain: [0x587933e7, 0xa887d52f], seeded: [0x93d0183e, 0x93bf46a6] },
  // One code point, two UTF-16 units, four bytes.
  { text: '😀', plain: [0xce69c92d, 0x153fd595], seeded: [0x54e1af8f, 0xa747db16] },
])('key hash: the key of $text is pinned', ({ text, plain, seeded }) => {
  expect(keyOf(text)).toEqual(plain);
  expect(keyOf(text, 0x12345678, 0x9abcdef0)).toEqual(seeded);
});

test('key hash: the key of a pair is pinned, and depends on the order', () => {
  expect(pairOf(1, 2, 3, 4)).toEqual([0xc53a2da0, 0x19358d61]);
  expect(pairOf(3, 4, 1, 2)).toEqual([0x45983c33, 0xa7052049]);
  expect(pairOf(0, 0, 0, 0)).toEqual([0xd9807647, 0xeda03985]);
  const last = 0xffff_ffff;
  expect(pairOf(last, last, last, last)).toEqual([0xad0cd64f, 0xfb92b5ba]);
});

test('key hash: partitions, names and the mix are pinned', () => {
  expect(partitionOf(0, 0, 64)).toBe(0);
  expect(partitionOf(1, 2, 64)).toBe(31);
  expect(partitionOf(0xffffffff, 0xffffffff, 64)).toBe(44);
  expect(partitionOf(0x12345678, 0x9abcdef0, 4_096)).toBe(809);
  expect(partitionOf(0xdeadbeef, 0xcafef00d, 4_095)).toBe(1_223);
  expect(hashName('ads/users')).toBe(3_684_701_771);
  expect([0, 1, 0xffffffff, 0x12345678].map(fmix)).toEqual([0, 1_364_076_727, 2_180_083_513, 3_816_608_188]);
});

test('key hash: is the same over the UTF-8 bytes of any text, ASCII or not (property)', () => {
  const anyText = fc.oneof(fc.string({ unit: 'binary-ascii', maxLength: 60 }), surrogateFree);
  fc.assert(
    fc.property(anyText, anyWord, anyWord, (text, seedLow, seedHigh) => {
      expect(keyOf(text, seedLow, seedHigh)).toEqual(
        keyOfBytes(new TextEncoder().encode(text), seedLow, seedHigh),
      );
    }),
    { numRuns: 300 },
  );
});

test('key hash: a text longer than the scratch memory has its own key too', () => {
  // 4,200 bytes of 1,400 characters, then 20,000 of 10,000; the scratch memory begins at 4,096 bytes.
  for (const text of ['日'.repeat(1_400), 'ä'.repeat(10_000)]) {
    expect(keyOf(text)).toEqual(keyOfBytes(new TextEncoder().encode(text), 0, 0));
  }
  expect(keyOf('é')).toEqual([0x0bd82ea2, 0x10e7497b]);
});

test('key hash: half a surrogate pair counts as the replacement character U+FFFD', () => {
  expect([keyOf('\ud800'), keyOf('\udc00x')]).toEqual([keyOf('\ufffd'), keyOf('\ufffdx')]);
});

test('key hash: writes two words at its place and nothing else', () => {
  const words = new Uint32Array(6).fill(7);
  hashText('abc', 0, 0, words, 2);
  expect([...words]).toEqual([7, 7, 0xc8d12c07, 0x37e81974, 7, 7]);
  // A pair may be written over its own first half.
  const own = Uint32Array.of(1, 2, 3, 4);
  hashPair(own[0], own[1], own[2], own[3], own, 0);
  expect([...own]).toEqual([0xc53a2da0, 0x19358d61, 3, 4]);
});

/** Equal numbers in `values`, which are sorted in place. */
function repeats(values: Float64Array | Uint32Array): number {
  values.sort();
  let count = 0;
  for (let i = 1; i < values.length; i += 1) if (values[i] === values[i - 1]) count += 1;
  return count;
}

test('key hash: a million values have a million keys, and each word is as random as 32 bits can be', () => {
  // Consecutive ids, bare and in a frame of text.
  const texts = [
    ...Array.from({ length: 500_000 }, (_, i) => `${i}`),
    ...Array.from({ length: 500_000 }, (_, i) => `user_${i}_x`),
  ];
  const count = texts.length;
  const whole = new Float64Array(count);
  const lows = new Uint32Array(count);
  const highs = new Uint32Array(count);
  const words = new Uint32Array(2);
  for (let i = 0; i < count; i += 1) {
    hashText(texts[i], 1, 2, words, 0);
    lows[i] = words[0];
    highs[i] = words[1];
    // 53 of the 64 bits: all that a double holds. A repeat among random ones has a chance of 6 · 10⁻⁵.
    whole[i] = words[0] + (words[1] & 0x1f_ffff) * 2 ** 32;
  }
  expect(repeats(whole)).toBe(0);
  // Random words repeat count² / 2³³ = 116 times, give or take 11; twice six of those is beyond chance.
  for (const repeated of [repeats(lows), repeats(highs)]) {
    expect(repeated).toBeGreaterThan(116 - 66);
    expect(repeated).toBeLessThan(116 + 66);
  }
});

test('key hash: half a million crosses have as many keys', () => {
  const users = new Uint32Array(2 * 1_000);
  const items = new Uint32Array(2 * 500);
  for (let i = 0; i < 1_000; i += 1) hashText(`u${i}`, 1, 2, users, 2 * i);
  for (let i = 0; i < 500; i += 1) hashText(`i${i}`, 3, 4, items, 2 * i);
  const whole = new Float64Array(500_000);
  const words = new Uint32Array(2);
  let at = 0;
  for (let u = 0; u < 2_000; u += 2) {
    for (let i = 0; i < 1_000; i += 2) {
      hashPair(users[u], users[u + 1], items[i], items[i + 1], words, 0);
      whole[at] = words[0] + (words[1] & 0x1f_ffff) * 2 ** 32;
      at += 1;
    }
  }
  expect(repeats(whole)).toBe(0);
});

test.each([2, 64, 1_000, 4_096])('key hash: keys spread evenly over %i partitions', (partitions) => {
  const count = 200_000;
  const counts = new Float64Array(partitions);
  const words = new Uint32Array(2);
  for (let i = 0; i < count; i += 1) {
    hashText(`${i}`, 0, 0, words, 0);
    counts[partitionOf(words[0], words[1], partitions)] += 1;
  }
  const wanted = count / partitions;
  const chiSquare = counts.reduce((sum, found) => sum + (found - wanted) ** 2 / wanted, 0);
  // Of χ² with k = partitions − 1 degrees: mean k, deviation √2k. Five deviations are beyond chance.
  const degrees = partitions - 1;
  expect(Math.abs(chiSquare - degrees)).toBeLessThan(5 * Math.sqrt(2 * degrees));
});

test('key hash: a partition is always one of them (property)', () => {
  fc.assert(
    fc.property(anyWord, anyWord, fc.integer({ min: 1, max: 4_096 }), (low, high, partitions) => {
      const partition = partitionOf(low, high, partitions);
      expect(Number.isInteger(partition) && partition >= 0 && partition < partitions).toBe(true);
    }),
  );
});

test('key hash: one changed character changes about half of the bits', () => {
  let changed = 0;
  const pairs = 2_000;
  for (let i = 0; i < pairs; i += 1) {
    const [low, high] = keyOf(`item-${i}-a`);
    const [otherLow, otherHigh] = keyOf(`item-${i}-b`);
    changed += bitsIn(low ^ otherLow) + bitsIn(high ^ otherHigh);
  }
  // Mean of 64 coins 2,000 times: 32, with a deviation of 4 / √2,000 = 0.09.
  expect(Math.abs(changed / pairs - 32)).toBeLessThan(0.5);
});

function bitsIn(word: number): number {
  let bits = 0;
  for (let rest = word >>> 0; rest !== 0; rest >>>= 1) bits += rest & 1;
  return bits;
}

test('key hash: a part of a text has the key of that part cut out (property)', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 30 }),
      fc.nat(30),
      fc.nat(30),
      anyWord,
      (text, a, b, seed) => {
        const from = Math.min(a, b, text.length);
        const to = Math.min(Math.max(a, b), text.length);
        const words = new Uint32Array(2);
        hashText(text, seed, seed, words, 0, from, to);
        expect([words[0], words[1]]).toEqual(keyOf(text.slice(from, to), seed, seed));
      },
    ),
  );
});
