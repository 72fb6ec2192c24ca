import type { RowwiseAdagradSpec } from '@millrace/protocol';
import type { Optimizer } from './optimizer.ts';

/**
 * AdaGrad with one accumulator a row: the mean of the squared gradients. Equal to AdaGrad where all |g_d| are equal.
 *   acc += mean_d(g_d²);   w_d −= lr · g_d / (sqrt(acc) + epsilon)
 * Source: FBGEMM "exact row-wise AdaGrad".
 * State: float32[1], acc.
 */
export function createRowwiseAdagrad({
  learningRate,
  initialAccumulator = 0.1,
  epsilon = 1e-10,
}: RowwiseAdagradSpec): Optimizer {
  return {
    stateFloats: () => 1,
    needsCurvature: false,
    start({ s, sAt }) {
      s[sAt] = initialAccumulator;
    },
    step({ w, wAt, s, sAt, dim }, { g, at }) {
      let squares = 0;
      for (let d = 0; d < dim; d += 1) squares += g[at + d] * g[at + d];
      s[sAt] += squares / dim;
      const rate = learningRate / (Math.sqrt(s[sAt]) + epsilon);
      for (let d = 0; d < dim; d += 1) w[wAt + d] -= rate * g[at + d];
    },
  };
}
