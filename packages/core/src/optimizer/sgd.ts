import type { SgdSpec } from '@millrace/protocol';
import type { Optimizer } from './optimizer.ts';

/**
 * Plain stochastic gradient descent. No state.
 *   w −= lr · g
 */
export function createSgd({ learningRate }: SgdSpec): Optimizer {
  return {
    stateFloats: () => 0,
    needsCurvature: false,
    start: () => {},
    step({ w, wAt, dim }, { g, at }) {
      for (let d = 0; d < dim; d += 1) w[wAt + d] -= learningRate * g[at + d];
    },
  };
}
