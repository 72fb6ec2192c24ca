/** The standard normal distribution. */

const rootTwoPi = Math.sqrt(2 * Math.PI);

/** φ(x) = e^(−x²/2) / √(2π) */
export function normalDensity(x: number): number {
  return Math.exp(-0.5 * x * x) / rootTwoPi;
}

/**
 * Φ(x), the probability of a value below x; to about 1e-15, and beyond ±7 to 1e-8 of itself.
 * Source: Hart's algorithm 5666 as in West, "Better approximations to cumulative normal functions", Wilmott 2005.
 */
export function normalCdf(x: number): number {
  const upper = upperTail(Math.abs(x));
  return x > 0 ? 1 - upper : upper;
}

/** 1 − Φ(x) for x ≥ 0. */
function upperTail(x: number): number {
  if (x > 37) return 0;
  const e = Math.exp(-0.5 * x * x);
  if (x >= 7.07106781186547) {
    return e / (x + 1 / (x + 2 / (x + 3 / (x + 4 / (x + 0.65))))) / rootTwoPi;
  }
  let top = 3.52624965998911e-2 * x + 0.700383064443688;
  top = top * x + 6.37396220353165;
  top = top * x + 33.912866078383;
  top = top * x + 112.079291497871;
  top = top * x + 221.213596169931;
  top = top * x + 220.206867912376;
  let bottom = 8.83883476483184e-2 * x + 1.75566716318264;
  bottom = bottom * x + 16.064177579207;
  bottom = bottom * x + 86.7807322029461;
  bottom = bottom * x + 296.564248779674;
  bottom = bottom * x + 637.333633378831;
  bottom = bottom * x + 793.826512519948;
  bottom = bottom * x + 440.413735824752;
  return (e * top) / bottom;
}

/**
 * The x with Φ(x) = p; 0 < p < 1. To about 1e-14.
 * Source: bisection on Φ, which is monotone, ended by the width of a double: a few intervals a report ask for it.
 */
export function normalQuantile(p: number): number {
  let low = -38;
  let high = 38;
  for (let step = 0; step < 200 && high - low > 1e-15 * (1 + Math.abs(low)); step += 1) {
    const middle = (low + high) / 2;
    if (normalCdf(middle) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}
