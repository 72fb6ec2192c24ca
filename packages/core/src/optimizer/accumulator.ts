import type { Optimizer } from './optimizer.ts';

/**
 * Adds up what it is given: a sum over the log rather than something that learns. No state.
 *   w += g
 */
export function createAccumulator(): Optimizer {
  return {
    stateFloats: () => 0,
    needsCurvature: false,
    start: () => {},
    step({ w, wAt, dim }, { g, at }) {
      for (let d = 0; d < dim; d += 1) w[wAt + d] += g[at + d];
    },
  };
}
