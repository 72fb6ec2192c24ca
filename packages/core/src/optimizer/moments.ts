import type { Optimizer } from './optimizer.ts';

/** Floats of one field's moments, in the state and in a gradient: count, mean, M2. */
export const momentFloats = 3;

/**
 * The count stops here, so that moments go on moving, each value with a share of a millionth, and float32 still tells one from
 * the next.
 */
export const momentCountMax = 2 ** 20;

/**
 * Running moments of dense fields as a segment of the dense state. What comes as a gradient are the moments of one batch.
 *   n = nA + nB;   δ = meanB − meanA;   mean = meanA + δ·nB/n;   M2 = M2A + M2B + δ²·nA·nB/n
 * then a count beyond momentCountMax is cut to it and M2 by as much. Variance is M2/n. Batches of no values change nothing.
 * Source: Chan, Golub, LeVeque, COMPSTAT 1982, the pairwise update.
 */
export function createMoments(): Optimizer {
  return {
    stateFloats: () => 0,
    needsCurvature: false,
    start: () => {},
    step({ w, wAt, dim }, { g, at }) {
      for (let d = 0; d < dim; d += momentFloats) {
        const [added, mean, squares] = [g[at + d], g[at + d + 1], g[at + d + 2]];
        // A block that somebody else wrote must not be able to make a count or a variance negative.
        if (added > 0 && squares >= 0) combine(w, wAt + d, added, mean, squares);
      }
    },
  };
}

function combine(w: Float32Array, at: number, added: number, mean: number, squares: number): void {
  const before = w[at];
  const count = before + added;
  const difference = mean - w[at + 1];
  const kept = count > momentCountMax ? momentCountMax / count : 1;
  w[at] = count * kept;
  w[at + 1] += (difference * added) / count;
  w[at + 2] = (w[at + 2] + squares + difference * difference * ((before * added) / count)) * kept;
}
