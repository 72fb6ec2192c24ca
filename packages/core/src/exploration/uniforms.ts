/**
 * Random numbers of a request, from its id: a request that is sent again, to the same node or to another, draws the same
 * numbers, so two impressions of one id seldom show two orders.
 */
import { fmix, hashText } from '../key-hash.ts';

/** Tells these numbers apart from other uses of a hash of the id. */
const purpose = 0x72616e6b;

/**
 * A number in [0, 1) for each place, with 53 bits of resolution.
 * @param seed uint32, the model's.
 */
export function uniformsOf(seed: number, requestId: string): (place: number) => number {
  const words = new Uint32Array(2);
  hashText(requestId, seed, purpose, words, 0);
  const [low, high] = words;
  return (place) => {
    const a = fmix(Math.imul(place + 1, 0x9e3779b1) ^ low);
    const b = fmix(Math.imul(place + 1, 0x85ebca6b) ^ fmix(high ^ a));
    return ((a >>> 5) * 67_108_864 + (b >>> 6)) / 9_007_199_254_740_992;
  };
}
