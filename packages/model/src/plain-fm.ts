/**
 * The factorisation machine's second-order term, in the linear-time form of Rendle (ICDM 2010):
 *   fm = ½ Σ_d ((Σ_s e[s, d])² − Σ_s e[s, d]²);     ∂fm/∂e[s, d] = (Σ_t e[t, d]) − e[s, d]
 */
import type { FmShape } from './net-shape.ts';
import type { PlainPart } from './plain-part.ts';

export function createPlainFm({ slots, dim }: FmShape): PlainPart {
  const floats = slots * dim;
  /** Σ_s e[s, d] of the example in work. */
  const sums = new Float64Array(dim);
  return {
    forward({ x }) {
      let term = 0;
      for (let d = 0; d < dim; d++) {
        let sum = 0;
        let squares = 0;
        for (let i = d; i < floats; i += dim) {
          const e = x[i];
          sum += e;
          squares += e * e;
        }
        sums[d] = sum;
        term += sum * sum - squares;
      }
      return term / 2;
    },
    backward({ x, slopes }, _parameters, gradient) {
      for (let d = 0; d < dim; d++) {
        for (let i = d; i < floats; i += dim) slopes[i] += gradient * (sums[d] - x[i]);
      }
    },
  };
}
