/** Whether probabilities mean what they say: of the examples scored 0.1, a tenth should turn out positive. */

/** Enough buckets to see a bend, few enough that each holds many clicks. */
const bucketCount = 10;

/** Examples of neighbouring scores: what was predicted and what came. */
export interface CalibrationBucket {
  readonly count: number;
  /** Lowest and highest score in the bucket. */
  readonly scoreMin: number;
  readonly scoreMax: number;
  /** Mean score. */
  readonly predicted: number;
  /** Mean label. */
  readonly observed: number;
}

/**
 *   ratio = Σ probabilities / Σ labels
 * 1 is right, 1.2 is 20 % too many predicted clicks. NaN when there is no positive label.
 * @param probabilities float32 or float64[count]; only read.
 * @param labels uint8[count], 0 or 1; only read.
 */
export function calibrationRatioFromScores(
  probabilities: Float32Array | Float64Array,
  labels: Uint8Array,
  count: number,
): number {
  let predicted = 0;
  let observed = 0;
  for (let i = 0; i < count; i++) {
    predicted += probabilities[i];
    observed += labels[i];
  }
  return observed === 0 ? Number.NaN : predicted / observed;
}

/**
 * Ten buckets of about equally many examples, ascending by score: bucket b begins at the score of rank ⌊b · count / 10⌋.
 * Equal scores share a bucket, so with few distinct scores there are fewer buckets; an empty one is left out.
 * Equal-width buckets would put nearly all examples of a 10 % click rate into the first two.
 * @param probabilities float32 or float64[count], no NaN; only read.
 * @param labels uint8[count], 0 or 1; only read.
 */
export function calibrationCurveFromScores(
  probabilities: Float32Array | Float64Array,
  labels: Uint8Array,
  count: number,
): CalibrationBucket[] {
  const sorted = Float64Array.from(probabilities.subarray(0, count)).sort();
  const starts = new Float64Array(bucketCount);
  for (let b = 0; b < bucketCount; b++) starts[b] = sorted[Math.floor((b * count) / bucketCount)];

  const counts = new Float64Array(bucketCount);
  const predicted = new Float64Array(bucketCount);
  const observed = new Float64Array(bucketCount);
  const lows = new Float64Array(bucketCount).fill(Number.POSITIVE_INFINITY);
  const highs = new Float64Array(bucketCount).fill(Number.NEGATIVE_INFINITY);
  for (let i = 0; i < count; i++) {
    const score = probabilities[i];
    const bucket = lastNotAbove(starts, score);
    counts[bucket]++;
    predicted[bucket] += score;
    observed[bucket] += labels[i];
    lows[bucket] = Math.min(lows[bucket], score);
    highs[bucket] = Math.max(highs[bucket], score);
  }

  const curve: CalibrationBucket[] = [];
  for (let b = 0; b < bucketCount; b++) {
    if (counts[b] === 0) continue;
    curve.push({
      count: counts[b],
      scoreMin: lows[b],
      scoreMax: highs[b],
      predicted: predicted[b] / counts[b],
      observed: observed[b] / counts[b],
    });
  }
  return curve;
}

/** Index of the last start that is not above `score`; the first start is the lowest score of all. */
function lastNotAbove(starts: Float64Array, score: number): number {
  let bucket = starts.length - 1;
  while (bucket > 0 && starts[bucket] > score) bucket--;
  return bucket;
}
