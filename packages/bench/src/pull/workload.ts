/**
 * What every side of the benchmark agrees on: which rows there are, what is in them and which keys are asked for. All of it
 * is a function of the seed, so that each process makes it for itself and the answers can be checked.
 */
import { fmix } from '@millrace/core';
import type { ModelFile } from '@millrace/protocol';

/** A wide weight and an embedding of 15: rows of 16 floats, 64 bytes. */
export const rowFloats = 16;
/** Of the keys asked for this share has no row. */
export const unknownShare = 0.01;

export function benchModel(partitions: number, seed: number): ModelFile {
  return {
    name: 'bench-pull',
    label: 'click',
    partitions,
    tables: [
      {
        name: 'rows',
        wide: { optimizer: { type: 'ftrl', alpha: 0.1 } },
        embedding: { dim: rowFloats - 1, optimizer: { type: 'adagrad', learningRate: 0.1 } },
      },
    ],
    fields: [{ name: 'id', type: 'sparse', table: 'rows' }],
    net: 'fm',
    loss: 'logloss',
    seed,
  };
}

/** Writes key `n` to words[at], words[at + 1]. Keys of different n differ, since fmix is a bijection of the low word. */
export function writeKey(n: number, seed: number, words: Uint32Array, at: number): void {
  words[at] = fmix(n);
  words[at + 1] = fmix(n ^ fmix(seed));
}

/** Weight d of the row of key `n`: not what a new row begins with, so that a row that was not found is noticed. */
export function writeRow(n: number, out: Float32Array, at: number): void {
  for (let d = 0; d < rowFloats; d += 1) out[at + d] = (fmix(n + 0x10000 * d) >>> 8) / 16_777_216 - 0.5;
}

export interface Request {
  /** uint32[2 · count] */
  readonly keys: Uint32Array;
  readonly count: number;
  /** Which key stands at each place: below `rows` one that has a row. */
  readonly numbers: Uint32Array;
}

/** Different requests of one size are kept until they hold so many keys: well over what a cache keeps of their rows. */
const keysKeptMax = 1_000_000;
const requestsMax = 4_096;

/** Requests of `count` keys each: rows uniformly random, some keys without a row. */
export function makeRequests(options: {
  readonly count: number;
  readonly rows: number;
  readonly seed: number;
}): readonly Request[] {
  const { count, rows, seed } = options;
  const random = randomWords(fmix(seed + count));
  const unknownBelow = unknownShare * 2 ** 32;
  const requests = Math.min(requestsMax, Math.ceil(Math.min(keysKeptMax, 4 * rows) / count));
  return Array.from({ length: requests }, () => {
    const keys = new Uint32Array(2 * count);
    const numbers = new Uint32Array(count);
    for (let i = 0; i < count; i += 1) {
      const n = random() % rows;
      numbers[i] = random() < unknownBelow ? rows + n : n;
      writeKey(numbers[i], seed, keys, 2 * i);
    }
    return { keys, count, numbers };
  });
}

/** Uniform uint32 words: a counter through fmix. */
function randomWords(seed: number): () => number {
  let counter = 0;
  return () => {
    counter += 1;
    return fmix(seed ^ fmix(counter));
  };
}
