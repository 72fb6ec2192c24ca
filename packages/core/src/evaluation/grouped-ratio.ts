/**
 * Ratios of sums, such as clicks an impression, of units that come more than once. A user's impressions are alike, so their
 * number says little of how far chance goes; how groups of units differ from each other says it, whatever happens within them.
 *
 *   r = Σ_g y_g / Σ_g n_g          V = m/(m − 1) · Σ_g (y_g − r n_g)² / (Σ_g n_g)²       the delta method
 *
 * Source: Deng, Knoblich, Lu, "Applying the Delta Method in Metric Analytics", KDD 2018, 3.2.
 */

export interface GroupedRatio {
  /** NaN where there is nothing below. */
  readonly value: number;
  /** Square of its standard error; NaN with fewer than two groups. */
  readonly variance: number;
  /** Groups that have something below. */
  readonly groups: number;
}

/**
 * @param top    float64[m]: y of each group; only read.
 * @param bottom float64[m]: n of each group; only read.
 */
export function groupedRatio(top: Float64Array, bottom: Float64Array): GroupedRatio {
  let topSum = 0;
  let bottomSum = 0;
  let groups = 0;
  for (let g = 0; g < bottom.length; g += 1) {
    topSum += top[g];
    bottomSum += bottom[g];
    if (bottom[g] !== 0) groups += 1;
  }
  const value = topSum / bottomSum;
  let squares = 0;
  for (let g = 0; g < bottom.length; g += 1) squares += (top[g] - value * bottom[g]) ** 2;
  const variance = groups < 2 ? Number.NaN : ((groups / (groups - 1)) * squares) / bottomSum ** 2;
  return { value, variance, groups };
}
