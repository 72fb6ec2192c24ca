/** Keys of fields and crosses with `buckets`: values meet in so many keys, which are of the field's key space all the same. */
import { hashPair } from '@millrace/core';

/** Second word of a bucket's number, so that it is not the key of a short text. */
const bucketMark = 0x6b636275;

/**
 * Puts the key of bucket `hash mod buckets` in place of the hash.
 * @param words uint32: the hash at `at`; overwritten. Its low word is uniform over 2^32, so buckets differ in size by less than buckets / 2^32.
 */
export function boundKey(
  words: Uint32Array,
  at: number,
  buckets: number,
  { seedLow, seedHigh }: { readonly seedLow: number; readonly seedHigh: number },
): void {
  hashPair(seedLow, seedHigh, words[at] % buckets, bucketMark, words, at);
}
