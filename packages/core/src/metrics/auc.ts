/**
 * Exact area under the ROC curve: the probability that a positive, drawn at random, scores above a negative drawn at
 * random, where equal scores count one half (the Mann–Whitney statistic).
 *
 * Positives and negatives are sorted apart and then walked together, so that no index array is sorted with a comparator:
 * the native typed-array sort does all the work, O(n log n).
 */

/**
 *   auc = (Σ_positives (negatives below + ½ negatives equal)) / (positives · negatives)
 * Exact: the doubled numerator is a whole number below 2^53 for up to 10^8 scores.
 * @param scores float32 or float64[count]; any monotone score will do; only read.
 * @param labels uint8[count], 0 or 1; only read.
 * @returns 0 … 1; NaN when one class is absent or a score is NaN.
 */
export function aucFromScores(
  scores: Float32Array | Float64Array,
  labels: Uint8Array,
  count: number,
): number {
  const positives = scoresOfLabel(scores, labels, count, 1);
  const negatives = scoresOfLabel(scores, labels, count, 0);
  if (positives.length === 0 || negatives.length === 0) return Number.NaN;
  // The sort puts NaN last, so one look at each end finds it.
  if (Number.isNaN(positives[positives.length - 1]) || Number.isNaN(negatives[negatives.length - 1])) {
    return Number.NaN;
  }
  return doubledWins(positives, negatives) / (2 * positives.length * negatives.length);
}

/** Ascending scores of the examples with that label. */
function scoresOfLabel(
  scores: Float32Array | Float64Array,
  labels: Uint8Array,
  count: number,
  label: 0 | 1,
): Float64Array {
  let size = 0;
  for (let i = 0; i < count; i++) if (labels[i] === label) size++;
  const chosen = new Float64Array(size);
  let next = 0;
  for (let i = 0; i < count; i++) if (labels[i] === label) chosen[next++] = scores[i];
  return chosen.sort();
}

/** Σ over positives of (2 · negatives below + negatives equal); both ascending. */
function doubledWins(positives: Float64Array, negatives: Float64Array): number {
  let below = 0;
  let notAbove = 0;
  let wins = 0;
  for (let i = 0; i < positives.length; i++) {
    const score = positives[i];
    while (below < negatives.length && negatives[below] < score) below++;
    if (notAbove < below) notAbove = below;
    while (notAbove < negatives.length && negatives[notAbove] <= score) notAbove++;
    wins += below + notAbove;
  }
  return wins;
}
