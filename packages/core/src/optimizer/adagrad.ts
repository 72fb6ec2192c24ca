import type { AdagradSpec } from '@millrace/protocol';
import type { Optimizer } from './optimizer.ts';

/**
 * AdaGrad, one accumulator a weight.
 *   acc += g²;   w −= lr · g / (sqrt(acc) + epsilon)
 * Source: Duchi, Hazan, Singer, JMLR 12 (2011), diagonal form.
 * State: float32[dim], acc.
 */
export function createAdagrad({
  learningRate,
  initialAccumulator = 0.1,
  epsilon = 1e-10,
}: AdagradSpec): Optimizer {
  return {
    stateFloats: (dim) => dim,
    needsCurvature: false,
    start({ s, sAt, dim }) {
      s.fill(initialAccumulator, sAt, sAt + dim);
    },
    step({ w, wAt, s, sAt, dim }, { g, at }) {
      for (let d = 0; d < dim; d += 1) {
        const gradient = g[at + d];
        s[sAt + d] += gradient * gradient;
        w[wAt + d] -= (learningRate * gradient) / (Math.sqrt(s[sAt + d]) + epsilon);
      }
    },
  };
}
