/**
 * Draws an order. The probabilities of a place are worked out first, over the items that are left, and the item is drawn from
 * exactly these numbers; so the propensity that is logged is true by construction, however the policy came to it.
 */
import { type Candidates, type Exploration, fillProbabilities } from './policy.ts';

export interface DrawnRanking {
  /** uint32[places]: the candidate at each place, as its place in the request. */
  readonly indices: Uint32Array;
  /** float32[places]: the probability that it was drawn there, given the places before. */
  readonly propensities: Float32Array;
}

/**
 * @param candidates    only read.
 * @param places        how many are drawn, 1 … candidates.count.
 * @param uniformOf     a number in [0, 1) for each place; nothing else decides.
 */
export function drawRanking(
  exploration: Exploration,
  candidates: Candidates,
  places: number,
  uniformOf: (place: number) => number,
): DrawnRanking {
  let left = candidates.count;
  const logits = candidates.logits.slice(0, left);
  const variances = candidates.variances.slice(0, left);
  const ids = Uint32Array.from({ length: left }, (_, i) => i);
  const probabilities = new Float64Array(left);
  const indices = new Uint32Array(places);
  const propensities = new Float32Array(places);
  for (let place = 0; place < places; place += 1) {
    fillProbabilities(exploration, { logits, variances, count: left }, probabilities);
    const drawn = drawOne(probabilities, left, uniformOf(place));
    indices[place] = ids[drawn];
    propensities[place] = probabilities[drawn];
    // The rest moves up, so that equals stay in the order of the request.
    left -= 1;
    logits.copyWithin(drawn, drawn + 1);
    variances.copyWithin(drawn, drawn + 1);
    ids.copyWithin(drawn, drawn + 1);
  }
  return { indices, propensities };
}

/**
 * The first place where the sum of the probabilities passes u; one of probability 0 is never taken.
 * @param probabilities float64[count] that sum to about 1: what rounding leaves over goes to the last possible one.
 * @param u             in [0, 1).
 */
export function drawOne(probabilities: Float64Array, count: number, u: number): number {
  let sum = 0;
  let last = 0;
  for (let i = 0; i < count; i += 1) {
    if (probabilities[i] === 0) continue;
    sum += probabilities[i];
    last = i;
    if (u < sum) return i;
  }
  return last;
}
