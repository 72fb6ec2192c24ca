import type { FtrlSpec } from '@millrace/protocol';
import type { Optimizer } from './optimizer.ts';

/**
 * FTRL-Proximal, per coordinate.
 *   σ = (sqrt(n + g²) − sqrt(n)) / α;   z += g − σ·w;   n += g²
 *   w = 0 if |z| ≤ l1, else −(z − sign(z)·l1) / ((β + sqrt(n))/α + l2)
 * A row with other than zero initial weights starts with the z that yields them.
 * Source: McMahan et al., "Ad Click Prediction: a View from the Trenches", KDD 2013, algorithm 1.
 * State: float32[2·dim]: z[dim], n[dim].
 */
export function createFtrl({ alpha, beta = 1, l1 = 0, l2 = 0 }: FtrlSpec): Optimizer {
  return {
    stateFloats: (dim) => 2 * dim,
    needsCurvature: false,
    start({ w, wAt, s, sAt, dim }) {
      for (let d = 0; d < dim; d += 1) {
        const weight = w[wAt + d];
        const z = weight * (beta / alpha + l2) + (weight > 0 ? l1 : weight < 0 ? -l1 : 0);
        s[sAt + d] = z === 0 ? 0 : -z;
        s[sAt + dim + d] = 0;
      }
    },
    step({ w, wAt, s, sAt, dim }, { g, at }) {
      for (let d = 0; d < dim; d += 1) {
        const gradient = g[at + d];
        const nOld = s[sAt + dim + d];
        const nNew = nOld + gradient * gradient;
        const root = Math.sqrt(nNew);
        const sigma = (root - Math.sqrt(nOld)) / alpha;
        s[sAt + d] += gradient - sigma * w[wAt + d];
        s[sAt + dim + d] = nNew;
        const z = s[sAt + d];
        const shrunk = z > l1 ? z - l1 : z < -l1 ? z + l1 : 0;
        w[wAt + d] = shrunk === 0 ? 0 : -shrunk / ((beta + root) / alpha + l2);
      }
    },
  };
}
