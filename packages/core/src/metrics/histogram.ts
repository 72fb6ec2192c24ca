/**
 * A latency histogram of fixed memory and bounded relative error, log-linear in the manner of HdrHistogram:
 * every power of two is cut into 32 buckets of equal width.
 *
 *   … | 1 ms ·· 32 buckets of 1/32 ms ·· 2 ms | 2 ms ·· 32 buckets of 1/16 ms ·· 4 ms | …
 *
 * A bucket is at most 1/32 of its lower edge wide and is reported by its middle, so a quantile is off by at most 1/64 =
 * 1.6 %. The bucket number is read off the bits of the float32: its exponent and the top five bits of its mantissa.
 * Source: G. Tene, HdrHistogram (the bucket layout).
 */
import { invariant } from '@millrace/protocol';

/** Mantissa bits that number a bucket within its power of two. */
const subBits = 5;
const subCount = 1 << subBits;
/** Values below 2^-10 ms (1 µs) fall into the first bucket: no clock here is finer. */
const exponentMin = -10;
/** Values of 2^24 ms (4.7 hours) and more fall into the last. */
const exponentMax = 24;
const bucketCount = (exponentMax - exponentMin) * subCount;
/** A float32 has 23 mantissa bits and an exponent biased by 127. */
const shift = 23 - subBits;
const firstBucketBits = (exponentMin + 127) << subBits;

export interface Histogram {
  /** Values recorded. */
  readonly count: number;
  /** Largest value recorded, exact; NaN when empty. */
  readonly max: number;
  /** Sum of the values recorded, ms. */
  readonly sum: number;
  /** Adds one value, ms. Negative values (clocks that disagree) count as 0; NaN is not recorded. */
  record(ms: number): void;
  /**
   * Smallest value that at least ⌈q · count⌉ of the recorded ones do not exceed, within 1.6 %; NaN when empty.
   * @param q 0 … 1.
   */
  quantile(q: number): number;
  /** Adds everything that the other one recorded. */
  merge(other: Histogram): void;
  reset(): void;
}

/** Starts empty; holds 8.7 KB for ever. */
export function createHistogram(): Histogram {
  return new LogLinearHistogram();
}

class LogLinearHistogram implements Histogram {
  readonly #counts = new Float64Array(bucketCount);
  readonly #float = new Float32Array(1);
  readonly #bits = new Uint32Array(this.#float.buffer);
  #count = 0;
  #sum = 0;
  #min = Number.NaN;
  #max = Number.NaN;

  get count(): number {
    return this.#count;
  }

  get max(): number {
    return this.#max;
  }

  get sum(): number {
    return this.#sum;
  }

  record(ms: number): void {
    if (Number.isNaN(ms)) return;
    const value = Math.max(ms, 0);
    this.#float[0] = value;
    const bucket = (this.#bits[0] >>> shift) - firstBucketBits;
    this.#counts[bucket < 0 ? 0 : bucket >= bucketCount ? bucketCount - 1 : bucket]++;
    this.#widen(value, value);
    this.#count++;
    this.#sum += value;
  }

  quantile(q: number): number {
    if (this.#count === 0) return Number.NaN;
    const rank = Math.max(1, Math.ceil(Math.min(Math.max(q, 0), 1) * this.#count));
    if (rank === this.#count) return this.#max;
    let seen = 0;
    let bucket = 0;
    while (seen + this.#counts[bucket] < rank) seen += this.#counts[bucket++];
    // The exact ends keep a middle from lying outside what was ever recorded.
    return Math.min(Math.max(bucketMiddle(bucket), this.#min), this.#max);
  }

  merge(other: Histogram): void {
    invariant(other instanceof LogLinearHistogram, 'only histograms made by createHistogram merge');
    if (other.#count === 0) return;
    for (let i = 0; i < bucketCount; i++) this.#counts[i] += other.#counts[i];
    this.#widen(other.#min, other.#max);
    this.#count += other.#count;
    this.#sum += other.#sum;
  }

  reset(): void {
    this.#counts.fill(0);
    this.#count = 0;
    this.#sum = 0;
    this.#min = Number.NaN;
    this.#max = Number.NaN;
  }

  #widen(min: number, max: number): void {
    if (!(this.#min <= min)) this.#min = min;
    if (!(this.#max >= max)) this.#max = max;
  }
}

function bucketMiddle(bucket: number): number {
  const exponent = exponentMin + (bucket >>> subBits);
  return 2 ** exponent * (1 + ((bucket & (subCount - 1)) + 0.5) / subCount);
}
