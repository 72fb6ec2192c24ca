/** Order statistics of measured samples. */

/** Middle value; of an even number of samples the mean of the two in the middle. NaN when there are none. */
export function median(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Smallest sample that at least `share` (0 … 1) of all samples do not exceed. NaN when there are none. */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = Float64Array.from(samples).sort();
  return sorted.length === 0 ? Number.NaN : sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}

/** `value` with `digits` significant digits, as a number: what a measurement can tell. */
export function rounded(value: number, digits = 4): number {
  return Number(value.toPrecision(digits));
}
