/**
 * Moments and quantiles of a column of numbers. Moments by Welford's recurrence; quantiles from every k-th number, k doubled
 * whenever 8,192 are held, so that the kept ones spread evenly over the log and the same log keeps the same ones.
 */
export interface NumberSketch {
  readonly count: number;
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  readonly deviation: number;
  add(x: number): void;
  /** Kept numbers, ascending. */
  sorted(): Float64Array;
}

const keptMax = 8_192;

export function createNumberSketch(): NumberSketch {
  const kept = new Float64Array(keptMax);
  let held = 0;
  let every = 1;
  let count = 0;
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  let mean = 0;
  let squares = 0;
  const thin = () => {
    for (let i = 0; i < held / 2; i += 1) kept[i] = kept[2 * i];
    held /= 2;
    every *= 2;
  };
  return {
    get count() {
      return count;
    },
    get min() {
      return min;
    },
    get max() {
      return max;
    },
    get mean() {
      return mean;
    },
    get deviation() {
      return count === 0 ? 0 : Math.sqrt(squares / count);
    },
    add(x) {
      if (held === keptMax) thin();
      if (count % every === 0) {
        kept[held] = x;
        held += 1;
      }
      count += 1;
      const step = x - mean;
      mean += step / count;
      squares += step * (x - mean);
      if (x < min) min = x;
      if (x > max) max = x;
    },
    sorted: () => kept.slice(0, held).sort(),
  };
}

/**
 * Boundaries that cut sorted numbers into about `wanted` parts of equally many; fewer where values repeat.
 * @param sorted ascending; only read.
 * @returns ascending, each above the smallest number, so that no part is empty.
 */
export function quantileBoundaries(sorted: Float64Array, wanted: number): number[] {
  const boundaries: number[] = [];
  for (let part = 1; part < wanted; part += 1) {
    const boundary = sorted[Math.floor((part * sorted.length) / wanted)];
    const last = boundaries.length === 0 ? sorted[0] : boundaries[boundaries.length - 1];
    if (boundary > last) boundaries.push(boundary);
  }
  return boundaries;
}

/**
 * The same where one value takes so much that few cuts are left, as the 0 of a count does: that value gets a part of its own,
 * and the others are cut as if it were not there.
 */
export function spreadBoundaries(sorted: Float64Array, wanted: number): number[] {
  const plain = quantileBoundaries(sorted, wanted);
  if (2 * plain.length >= wanted) return plain;
  const mode = modeOf(sorted);
  const others = sorted.filter((x) => x !== mode);
  const next = others.find((x) => x > mode);
  const cuts = new Set(quantileBoundaries(others, Math.max(2, wanted - 2)));
  if (next !== undefined) cuts.add(next);
  if (others.length > 0 && others[0] < mode) cuts.add(mode);
  return [...cuts].sort((a, b) => a - b);
}

/** The value that comes most often, the lowest of several. */
function modeOf(sorted: Float64Array): number {
  let mode = Number.NaN;
  let most = 0;
  let start = 0;
  for (let i = 1; i <= sorted.length; i += 1) {
    if (i < sorted.length && sorted[i] === sorted[start]) continue;
    if (i - start > most) {
      most = i - start;
      mode = sorted[start];
    }
    start = i;
  }
  return mode;
}
