/** Columns of the sample as small whole numbers and as float64, for screening. */
import type { DenseTransform } from '@millrace/protocol';
import { numberOf } from './column-profile.ts';
import type { NumberForm } from './column-uses.ts';
import type { Sample } from './sample.ts';

export interface Codes {
  /** int32[records]: place of the value in order of first appearance, −1 where it is missing. */
  readonly codes: Int32Array;
  readonly size: number;
}

/** Codes of the values as texts. */
export function codesOfValues(sample: Sample, column: string): Codes {
  const places = new Map<string, number>();
  const codes = new Int32Array(sample.records.length);
  for (let i = 0; i < codes.length; i += 1) {
    const value = sample.records[i][column];
    if (value === null || value === undefined || value === '') {
      codes[i] = -1;
      continue;
    }
    const text = String(value);
    let place = places.get(text);
    if (place === undefined) {
      place = places.size;
      places.set(text, place);
    }
    codes[i] = place;
  }
  return { codes, size: places.size };
}

/** Codes of numbers by interval: how many boundaries are not above. */
export function codesOfBuckets(numbers: Float64Array, boundaries: readonly number[]): Codes {
  const codes = new Int32Array(numbers.length);
  for (let i = 0; i < numbers.length; i += 1) codes[i] = bucketOf(numbers[i], boundaries);
  return { codes, size: boundaries.length + 1 };
}

function bucketOf(x: number, boundaries: readonly number[]): number {
  if (Number.isNaN(x)) return -1;
  let bucket = 0;
  while (bucket < boundaries.length && boundaries[bucket] <= x) bucket += 1;
  return bucket;
}

/** float64[records], NaN where there is no number. */
export function numbersOf(sample: Sample, column: string): Float64Array {
  return Float64Array.from(sample.records, (record) => numberOf(record[column]) ?? Number.NaN);
}

/** What the model makes of a number before it weights a row. */
export function transformed(x: number, transform: DenseTransform): number {
  if (transform.type === 'log1p') return Math.sign(x) * Math.log1p(Math.abs(x));
  if (transform.type !== 'standardize') return x;
  return (x - (transform.mean ?? 0)) / (transform.deviation ?? 1);
}

/** Codes of a number in a form that makes keys of it. */
export function codesOfForm(sample: Sample, column: string, form: NumberForm): Codes {
  if (form.kind === 'bucket') return codesOfBuckets(numbersOf(sample, column), form.boundaries);
  return codesOfValues(sample, column);
}
