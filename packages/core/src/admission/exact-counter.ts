/**
 * Counts each key. Bounded by two generations of keys: what is counted goes into the young one; when that holds
 * `generationKeys` keys, the old one is forgotten, the young one becomes the old one, and a new one begins. A key that is met
 * in the old generation moves its count to the young one. So a count is forgotten once between 16,384 and 32,768 other keys
 * without a row were met in the partition since the key was, and in no other case: a rule of the log alone.
 */
import { fmix } from '../key-hash.ts';
import type { Admission } from './admission.ts';

/** Two full generations take 1.3 MB a partition and table; 64 partitions remember a million keys at least. */
export const generationKeys = 16_384;

interface Generation {
  /** uint32[2 · room], in order of their coming. */
  keys: Uint32Array;
  /** uint32[room]; 0 for a key that was admitted. */
  counts: Uint32Array;
  /** int32[slots]: place + 1, 0: free. Twice as many slots as room, so chains are short. */
  slots: Int32Array;
  size: number;
}

const firstRoom = 32;

/** @param wanted occurrences at which a key is admitted. @param keysMax keys of a generation. */
export function createExactCounter(wanted: number, keysMax = generationKeys): Admission {
  let young = emptyGeneration();
  let old = emptyGeneration();

  const add = (low: number, high: number, count: number) => {
    if (young.size === keysMax) {
      old = young;
      young = emptyGeneration();
    }
    append(young, low, high, count);
  };

  return {
    admits(low, high, occurrences) {
      const place = placeOf(young, low, high);
      if (place >= 0) {
        const count = young.counts[place] + occurrences;
        young.counts[place] = count >= wanted ? 0 : count;
        return count >= wanted;
      }
      const oldPlace = placeOf(old, low, high);
      const count = occurrences + (oldPlace >= 0 ? old.counts[oldPlace] : 0);
      if (count < wanted) add(low, high, count);
      else if (oldPlace >= 0) old.counts[oldPlace] = 0;
      return count >= wanted;
    },
    bytes: () => bytesOf(young) + bytesOf(old),
    words() {
      const parts = [young, old].flatMap(({ keys, counts, size }) => [
        keys.subarray(0, 2 * size),
        counts.subarray(0, size),
      ]);
      const words = new Uint32Array(2 + 3 * (young.size + old.size));
      words.set([young.size, old.size]);
      let at = 2;
      for (const part of parts) {
        words.set(part, at);
        at += part.length;
      }
      return words;
    },
    restore(words) {
      const [youngSize, oldSize] = words;
      if (!(Math.max(youngSize, oldSize) <= keysMax) || words.length !== 2 + 3 * (youngSize + oldSize))
        throw new RangeError('counts of keys in two generations');
      young = generationFrom(words.subarray(2, 2 + 3 * youngSize));
      old = generationFrom(words.subarray(2 + 3 * youngSize));
    },
  };
}

function emptyGeneration(): Generation {
  return {
    keys: new Uint32Array(2 * firstRoom),
    counts: new Uint32Array(firstRoom),
    slots: new Int32Array(2 * firstRoom),
    size: 0,
  };
}

/** @param words keys, then counts. */
function generationFrom(words: Uint32Array): Generation {
  const generation = emptyGeneration();
  const size = words.length / 3;
  for (let i = 0; i < size; i += 1) append(generation, words[2 * i], words[2 * i + 1], words[2 * size + i]);
  return generation;
}

function bytesOf({ keys, counts, slots }: Generation): number {
  return keys.byteLength + counts.byteLength + slots.byteLength;
}

function placeOf({ keys, slots }: Generation, low: number, high: number): number {
  const mask = slots.length - 1;
  let slot = fmix(low ^ Math.imul(high, 0x9e3779b1)) & mask;
  for (let place = slots[slot] - 1; place >= 0; place = slots[slot] - 1) {
    if (keys[2 * place] === low && keys[2 * place + 1] === high) return place;
    slot = (slot + 1) & mask;
  }
  return -1;
}

function append(generation: Generation, low: number, high: number, count: number): void {
  if (generation.size === generation.counts.length) grow(generation);
  const place = generation.size;
  generation.keys[2 * place] = low;
  generation.keys[2 * place + 1] = high;
  generation.counts[place] = count;
  generation.size += 1;
  insert(generation.slots, low, high, place);
}

function grow(generation: Generation): void {
  const room = 2 * generation.counts.length;
  const { keys, counts, size } = generation;
  generation.keys = new Uint32Array(2 * room);
  generation.keys.set(keys);
  generation.counts = new Uint32Array(room);
  generation.counts.set(counts);
  generation.slots = new Int32Array(2 * room);
  for (let place = 0; place < size; place += 1)
    insert(generation.slots, keys[2 * place], keys[2 * place + 1], place);
}

function insert(slots: Int32Array, low: number, high: number, place: number): void {
  const mask = slots.length - 1;
  let slot = fmix(low ^ Math.imul(high, 0x9e3779b1)) & mask;
  while (slots[slot] !== 0) slot = (slot + 1) & mask;
  slots[slot] = place + 1;
}
