/** Which negatives are learned: a choice by hash, so that whoever folds a log makes it alike, in any order and any number of times. */
import { fmix, hashText } from '@millrace/core';

const words = new Uint32Array(2);
/** Tells this use of the hash apart from keys of the same seed. */
const sampling = 0x6e656773;

/**
 * True for a share `rate` of all items of all requests.
 * @param rate 0 < rate ≤ 1.
 */
export function isKept(requestId: string, index: number, seed: number, rate: number): boolean {
  if (rate >= 1) return true;
  hashText(requestId, seed, sampling, words, 0);
  return fmix(words[0] ^ Math.imul(index + 1, 0x9e3779b1)) / 4_294_967_296 < rate;
}
