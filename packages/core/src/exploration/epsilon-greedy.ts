/**
 * Epsilon-greedy: with probability ε any item, each as likely as the next, else the best; equal bests share.
 *   P(i) = ε / count + (1 − ε) · [i is a best] / bests
 * @param logits float64[count]; only read.
 * @param out    float64[count]; overwritten.
 */
export function epsilonGreedyProbabilities(
  logits: Float64Array,
  count: number,
  epsilon: number,
  out: Float64Array,
): void {
  let best = Number.NEGATIVE_INFINITY;
  let bests = 0;
  for (let i = 0; i < count; i += 1) {
    if (logits[i] > best) {
      best = logits[i];
      bests = 1;
    } else if (logits[i] === best) bests += 1;
  }
  const any = epsilon / count;
  const extra = (1 - epsilon) / bests;
  for (let i = 0; i < count; i += 1) out[i] = logits[i] === best ? any + extra : any;
}

/** The best, and of equal ones the first: P is 1 there and 0 elsewhere. */
export function greedyProbabilities(logits: Float64Array, count: number, out: Float64Array): void {
  let best = 0;
  for (let i = 1; i < count; i += 1) if (logits[i] > logits[best]) best = i;
  out.fill(0, 0, count);
  out[best] = 1;
}
