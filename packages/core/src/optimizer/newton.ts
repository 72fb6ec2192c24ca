import type { NewtonSpec } from '@millrace/protocol';
import type { Optimizer } from './optimizer.ts';

/**
 * Diagonal Newton step: each weight keeps a precision, a diagonal Gaussian posterior in the manner of online Bayesian
 * logistic regression. `h` is the summed curvature p(1−p)·(∂logit/∂w)² that the block carries beside the gradient.
 *   H += h;   w −= g / (λ + c·H)
 * State: float32[dim], H.
 */
export function createNewton({ lambda = 1, c = 1 }: NewtonSpec): Optimizer {
  return {
    stateFloats: (dim) => dim,
    needsCurvature: true,
    start({ s, sAt, dim }) {
      s.fill(0, sAt, sAt + dim);
    },
    step({ w, wAt, s, sAt, dim }, { g, h, at }) {
      for (let d = 0; d < dim; d += 1) {
        s[sAt + d] += h[at + d];
        w[wAt + d] -= g[at + d] / (lambda + c * s[sAt + d]);
      }
    },
  };
}
