/**
 * Thompson sampling with its probabilities worked out. Each logit is a normal of its own, N(m_i, s_i²); the policy shows i
 * with the probability that i is the greatest:
 *
 *   P(i) = ∫ φ((x − m_i)/s_i)/s_i · Π_{j≠i} Φ((x − m_j)/s_j) dx
 *
 * Sampling the normals and taking the greatest would draw the same, but could not say with which probability it did.
 *
 * Quadrature. All integrals share their points. The greatest is hardly ever (2e-8) below lo = max_j (m_j − 5.5 s_j), so at every
 * point x ≥ lo each item's normal has begun, and it ends at m_j + 5.5 s_j: going down from the highest end, panels may be
 * twice as long as the narrowest normal that is under way is wide, and an item that ends below lo has no chance and costs nothing.
 *
 *             end of a              end of b             end of c      (c is far below: never reached)
 *   lo ├──┼──┼──┼─ … panels of s_a ──┤── panels of s_b ────┤
 *
 * Eight Gauss–Legendre points a panel; the walk ends once Π Φ_j, the chance of anything below, is under 1e-8. The error of a
 * probability is below 1e-6 (tested against closed forms and a fine grid) and they are scaled to sum to 1.
 */
import { normalCdf } from './normal.ts';

/** Standard deviations from its mean at which a normal has ended: Φ(−5.5) = 2e-8. */
const reach = 5.5;
/** Panels are so many times as long as the narrowest normal under way: eight points are then exact enough. */
const panelDeviations = 2;
/** Narrower normals count as this wide: nobody can tell logits apart that differ by a thousandth. */
const deviationMin = 1e-3;
/** What is left of the integral when the walk ends. */
const tail = 1e-8;
const rootTwoPi = Math.sqrt(2 * Math.PI);

/** Gauss–Legendre on [−1, 1] with eight points; the nodes come in pairs ±. */
const nodes = [0.1834346424956498, 0.525532409916329, 0.7966664774136267, 0.9602898564975363];
const nodeWeights = [0.362683783378362, 0.3137066458778873, 0.2223810344533745, 0.1012285362903763];

/**
 * Probability of each item to have the greatest logit.
 * @param logits    float64[count]: means; only read.
 * @param variances float64[count], ≥ 0; only read.
 * @param scale     multiplies the standard deviations; 0: no exploration but between equals.
 * @param out       float64[count]; overwritten. Sums to 1; 0 for an item without a chance (below 1e-7).
 */
export function thompsonProbabilities(
  logits: Float64Array,
  variances: Float64Array,
  { count, scale }: { readonly count: number; readonly scale: number },
  out: Float64Array,
): void {
  const deviations = new Float64Array(count);
  let low = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < count; i += 1) {
    deviations[i] = Math.max(deviationMin, scale * Math.sqrt(variances[i]));
    low = Math.max(low, logits[i] - reach * deviations[i]);
  }
  const endOf = (i: number) => logits[i] + reach * deviations[i];
  const contenders = Uint32Array.from({ length: count }, (_, i) => i)
    .filter((i) => endOf(i) > low)
    .sort((a, b) => endOf(b) - endOf(a));
  out.fill(0, 0, count);
  const field = { logits, deviations, contenders, ratios: new Float64Array(contenders.length), out };
  let right = endOf(contenders[0]);
  /** Contenders under way at `right`, and the narrowest of them. */
  let started = 0;
  let narrowest = Number.POSITIVE_INFINITY;
  let below = 1;
  while (right > low && below > tail) {
    while (started < contenders.length && endOf(contenders[started]) >= right) {
      narrowest = Math.min(narrowest, deviations[contenders[started]]);
      started += 1;
    }
    let left = Math.max(low, right - panelDeviations * narrowest);
    // One that begins within the panel and is narrower shortens it: to its own end, or to its own width.
    let present = started;
    for (; present < contenders.length && endOf(contenders[present]) > left; present += 1) {
      const item = contenders[present];
      left = Math.max(left, Math.min(endOf(item), right - panelDeviations * deviations[item]));
    }
    below = addPanel(field, present, left, right);
    right = left;
  }
  let total = 0;
  for (let i = 0; i < count; i += 1) total += out[i];
  for (let i = 0; i < count; i += 1) out[i] /= total;
}

interface Field {
  readonly logits: Float64Array;
  readonly deviations: Float64Array;
  readonly contenders: Uint32Array;
  /** Scratch: φ/(s Φ) by contender. */
  readonly ratios: Float64Array;
  readonly out: Float64Array;
}

/** Adds a panel's share of all integrals; gives Π Φ at its lowest point. */
function addPanel(field: Field, present: number, left: number, right: number): number {
  const middle = (left + right) / 2;
  const half = (right - left) / 2;
  let lowest = 1;
  for (let n = nodes.length - 1; n >= 0; n -= 1) {
    const weight = half * nodeWeights[n];
    addPoint(field, present, middle + half * nodes[n], weight);
    lowest = Math.min(lowest, addPoint(field, present, middle - half * nodes[n], weight));
  }
  return lowest;
}

/** Adds weight · φ_i(x) Π_{j≠i} Φ_j(x) to each item; gives Π Φ_j(x). */
function addPoint(field: Field, present: number, x: number, weight: number): number {
  const { logits, deviations, contenders, ratios, out } = field;
  let product = 1;
  for (let k = 0; k < present; k += 1) {
    const i = contenders[k];
    const t = (x - logits[i]) / deviations[i];
    const cdf = normalCdf(t);
    product *= cdf;
    ratios[k] = Math.exp(-0.5 * t * t) / (rootTwoPi * deviations[i] * cdf);
  }
  for (let k = 0; k < present; k += 1) out[contenders[k]] += weight * product * ratios[k];
  return product;
}
