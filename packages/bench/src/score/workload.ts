/**
 * What every process of the benchmark agrees on: the model, what is in its rows, and the requests. All of it is a function of
 * the seed.
 */
import { fmix } from '@millrace/core';
import type { ModelFile } from '@millrace/protocol';
import { dim, fields, hiddenUnits, type ScoreParameters } from './parameters.ts';

export const modelName = 'bench-score';
export const fieldNames: readonly string[] = Array.from({ length: fields }, (_, f) => `f${f}`);
/** Exponent of Zipf's law, as in YCSB. */
const zipfExponent = 0.99;

export function scoreModel({
  partitions,
  denseLearningRate,
  seed,
}: Pick<ScoreParameters, 'partitions' | 'denseLearningRate' | 'seed'>): ModelFile {
  return {
    name: modelName,
    label: 'click',
    partitions,
    tables: [{ name: 'rows', embedding: { dim, optimizer: { type: 'adagrad', learningRate: 0.1 } } }],
    fields: fieldNames.map((name) => ({ name, type: 'sparse', scope: 'item', table: 'rows' })),
    net: {
      layers: hiddenUnits.map((units) => ({ units })),
      optimizer: { type: 'adam', learningRate: denseLearningRate },
    },
    loss: 'logloss',
    seed,
  };
}

/** Values of a field: 0 … valuesOf(rows) − 1. */
export function valuesOf(rows: number): number {
  return Math.floor(rows / fields);
}

/** Weights of the row of `value` in field `f`, uniform in ±0.5, to out[at, at + dim). */
export function writeScoreRow(f: number, value: number, out: Float32Array, at: number): void {
  const n = fmix(value * fields + f);
  for (let d = 0; d < dim; d += 1) out[at + d] = (fmix(n + d) >>> 8) / 16_777_216 - 0.5;
}

/** A candidate's values, by field. */
export type Values = readonly number[];

/** Requests: `items` candidates each, every value drawn by Zipf's law from those of its field. */
export function makeScoreRequests(
  { rows, items, seed }: Pick<ScoreParameters, 'rows' | 'items' | 'seed'>,
  count: number,
): readonly (readonly Values[])[] {
  const random = randomFrom(seed);
  const draw = zipf(valuesOf(rows), random);
  return Array.from({ length: count }, () =>
    Array.from({ length: items }, () => Array.from({ length: fields }, draw)),
  );
}

/** `{"f0": 17, …}` */
export function itemOf(values: Values): Record<string, number> {
  return Object.fromEntries(values.map((value, f) => [fieldNames[f], value]));
}

/** Uniform in [0, 1): a counter through fmix. */
export function randomFrom(seed: number): () => number {
  let counter = 0;
  const mixed = fmix(seed);
  return () => {
    counter += 1;
    return (fmix(mixed ^ fmix(counter)) >>> 0) / 2 ** 32;
  };
}

/** Draws ranks 0 … values − 1 with probability in proportion to 1 / (rank + 1)^s, by the cumulated sums. */
function zipf(values: number, random: () => number): () => number {
  const sums = new Float64Array(values);
  let sum = 0;
  for (let rank = 0; rank < values; rank += 1) {
    sum += (rank + 1) ** -zipfExponent;
    sums[rank] = sum;
  }
  return () => {
    const wanted = random() * sum;
    let low = 0;
    let high = values - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (sums[middle] <= wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}
