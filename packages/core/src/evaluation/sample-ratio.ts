/**
 * Whether units came to arms in the shares that they were dealt in. Where they did not, something keeps units of an arm out of
 * the figures, such as answers that fail, and whoever is left is no fair sample: no other figure can be trusted then.
 *
 * Against the multinomial with the dealt shares θ stands the mixture of all others, Dirichlet(Aθ). Their likelihood ratio over
 * counts x of n units,
 *
 *   B = Γ(A)/Γ(A + n) · Π Γ(Aθ_i + x_i) / (Γ(Aθ_i) θ_i^x_i)
 *
 * is a martingale under θ as units come one after the other, so by Ville's inequality 1/B is below α at some look with
 * probability α at most, however often one looks.
 * Source: Lindon, Malek, "Anytime-Valid Inference for Multinomial Count Data", NeurIPS 2022.
 */

/** A: alternatives are about 1/√A from θ, which is what the test is quickest to see; any value holds. */
const concentration = 1_000;

/**
 * @param counts float64[arms]: units of each.
 * @param shares float64[arms]: above 0, of any sum.
 * @returns the least α at which the counts are none of these shares, at most 1; valid at whichever look.
 */
export function sampleRatioPValue(counts: readonly number[], shares: readonly number[]): number {
  const all = shares.reduce((sum, share) => sum + share, 0);
  const units = counts.reduce((sum, count) => sum + count, 0);
  let log = logGamma(concentration) - logGamma(concentration + units);
  for (let i = 0; i < counts.length; i += 1) {
    const share = shares[i] / all;
    const prior = concentration * share;
    log += logGamma(prior + counts[i]) - logGamma(prior) - counts[i] * Math.log(share);
  }
  return Math.min(1, Math.exp(-log));
}

/**
 * ln Γ(x) for x > 0, to about 1e-13 of itself: Stirling's series, moved up to where four terms are enough.
 * Source: Abramowitz, Stegun, 6.1.41.
 */
export function logGamma(x: number): number {
  let above = x;
  let shift = 0;
  for (; above < 15; above += 1) shift += Math.log(above);
  const inverse = 1 / above;
  const square = inverse * inverse;
  const series = inverse * (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square / 1680)));
  return (above - 0.5) * Math.log(above) - above + 0.5 * Math.log(2 * Math.PI) + series - shift;
}
