import type { AdamSpec } from '@millrace/protocol';
import type { Optimizer } from './optimizer.ts';

/**
 * Lazy Adam: moments move only when the row has a gradient, and bias is corrected by the row's own step count, kept as the
 * running products β1^t and β2^t so that no pow is needed.
 *   m = β1·m + (1−β1)·g;   v = β2·v + (1−β2)·g²
 *   w −= lr · (m / (1−β1^t)) / (sqrt(v / (1−β2^t)) + epsilon)
 * Source: Kingma, Ba, ICLR 2015; lazy form as in TensorFlow Addons.
 * State: float32[2·dim + 2]: m[dim], v[dim], β1^t, β2^t.
 */
export function createAdam({
  learningRate,
  beta1 = 0.9,
  beta2 = 0.999,
  epsilon = 1e-8,
}: AdamSpec): Optimizer {
  return {
    stateFloats: (dim) => 2 * dim + 2,
    needsCurvature: false,
    start({ s, sAt, dim }) {
      s.fill(0, sAt, sAt + 2 * dim);
      s[sAt + 2 * dim] = 1;
      s[sAt + 2 * dim + 1] = 1;
    },
    step({ w, wAt, s, sAt, dim }, { g, at }) {
      const powers = sAt + 2 * dim;
      s[powers] *= beta1;
      s[powers + 1] *= beta2;
      const correction1 = 1 - s[powers];
      const correction2 = 1 - s[powers + 1];
      for (let d = 0; d < dim; d += 1) {
        const gradient = g[at + d];
        const m = sAt + d;
        const v = sAt + dim + d;
        s[m] = beta1 * s[m] + (1 - beta1) * gradient;
        s[v] = beta2 * s[v] + (1 - beta2) * gradient * gradient;
        w[wAt + d] -= (learningRate * (s[m] / correction1)) / (Math.sqrt(s[v] / correction2) + epsilon);
      }
    },
  };
}
