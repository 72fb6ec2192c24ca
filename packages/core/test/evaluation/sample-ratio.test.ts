import { describe, expect, test } from 'vitest';
import { logGamma } from '../../src/evaluation/sample-ratio.ts';
import { uniformsOf } from '../../src/exploration/index.ts';
import { sampleRatioPValue } from '../../src/index.ts';

/** @returns the least p-value of 50 looks at units that come in these shares. */
function leastP(
  seed: number,
  shares: readonly number[],
  dealt: readonly number[],
  unitsALook: number,
): number {
  const next = uniformsOf(seed, `units-${seed}`);
  const counts = dealt.map(() => 0);
  let least = 1;
  for (let look = 0; look < 50; look += 1) {
    for (let i = 0; i < unitsALook; i += 1) {
      let left = next(look * unitsALook + i);
      let arm = 0;
      for (; arm < shares.length - 1 && left >= shares[arm]; arm += 1) left -= shares[arm];
      counts[arm] += 1;
    }
    least = Math.min(least, sampleRatioPValue(counts, dealt));
  }
  return least;
}

describe('evaluation: sample ratio', () => {
  test('evaluation: sample ratio: ln Γ as the factorials have it', () => {
    let factorial = 1;
    for (let n = 1; n <= 20; n += 1) {
      expect(logGamma(n)).toBeCloseTo(Math.log(factorial), 11);
      factorial *= n;
    }
    expect(logGamma(0.5)).toBeCloseTo(0.5 * Math.log(Math.PI), 11);
  });

  test('evaluation: sample ratio: of one unit each arm is as likely as its share', () => {
    // B = A θ_i / (A θ_i) = 1
    expect(sampleRatioPValue([1, 0], [0.3, 0.1])).toBeCloseTo(1, 9);
    // Two units of one arm of two: (A/2 + 1) / (A/2) · A/(A + 1) = (502/500 − 1/500) · 1000/1001
    expect(sampleRatioPValue([2, 0], [1, 1])).toBeCloseTo(1 / (((501 / 500) * 1_000) / 1_001), 9);
  });

  test('evaluation: sample ratio: units that come as dealt are hardly ever called otherwise, however often one looks', () => {
    const least = Array.from({ length: 400 }, (_, seed) =>
      leastP(seed, [0.5, 0.4, 0.1], [0.5, 0.4, 0.1], 40),
    );
    expect(least.filter((p) => p < 0.05).length).toBeLessThan(20);
    expect(least.filter((p) => p < 0.001)).toEqual([]);
  });

  test('evaluation: sample ratio: an arm that loses a tenth of its units is found', () => {
    // Of 0.5 and 0.45 units 0.526 and 0.474 are left, 4,000 of them: 3.3 standard errors.
    const found = Array.from({ length: 40 }, (_, seed) => leastP(seed, [0.5263, 0.4737], [0.5, 0.5], 160));
    expect(found.filter((p) => p < 0.001).length).toBeGreaterThan(20);
  });
});
