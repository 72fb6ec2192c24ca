/**
 * Admits at each occurrence with one probability, without any memory. Chance is a hash of key, table and log sequence, so
 * every owner and every replay decides the same (I2):
 *
 *   admitted ⇔ hash(seed, key, sequence, i) < probability · 2^32 for one of the block's occurrences i
 *
 * Poisson inclusion of McMahan et al., KDD 2013, section 4.1: a key is admitted after 1/probability occurrences on average.
 */
import { highWordOf, lowWordOf } from '@millrace/protocol';
import { fmix } from '../key-hash.ts';
import type { Admission } from './admission.ts';

export function createProbability(probability: number, seed: number): Admission {
  const threshold = probability * 4_294_967_296;
  return {
    admits(low, high, occurrences, sequence) {
      const key = fmix(low ^ fmix(high ^ seed));
      const base = fmix(key ^ fmix(lowWordOf(sequence) ^ Math.imul(highWordOf(sequence), 0x85ebca6b)));
      for (let i = 0; i < occurrences; i += 1)
        if (fmix(base + Math.imul(i, 0x9e3779b9)) < threshold) return true;
      return false;
    },
    bytes: () => 0,
    words: () => new Uint32Array(0),
    restore(words) {
      if (words.length > 0) throw new RangeError('nothing: chance has no memory');
    },
  };
}
