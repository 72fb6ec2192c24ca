/**
 * The field-weighted factorisation machine (Pan et al., WWW 2018):
 *   fwfm = Σ_{i<j} r_ij ⟨e_i, e_j⟩;     ∂/∂e_i = Σ_j r_ij e_j;     ∂/∂r_ij = ⟨e_i, e_j⟩
 */
import type { FwfmShape } from './net-shape.ts';
import { dotOf } from './plain-dots.ts';
import type { PlainPart } from './plain-part.ts';

export function createPlainFwfm({ slots, dim, offset }: FwfmShape): PlainPart {
  /** ⟨e_i, e_j⟩ of the example in work, in the order of r. */
  const products = new Float64Array((slots * (slots - 1)) / 2);
  return {
    forward({ x }, parameters) {
      let term = 0;
      let pair = 0;
      for (let i = 0; i < slots; i++) {
        for (let j = i + 1; j < slots; j++, pair++) {
          products[pair] = dotOf(x, i * dim, j * dim, dim);
          term += parameters[offset + pair] * products[pair];
        }
      }
      return term;
    },
    backward({ x, slopes }, parameters, gradient, sums) {
      let pair = 0;
      for (let i = 0; i < slots; i++) {
        for (let j = i + 1; j < slots; j++, pair++) {
          sums[offset + pair] += gradient * products[pair];
          const weight = gradient * parameters[offset + pair];
          for (let d = 0; d < dim; d++) {
            slopes[i * dim + d] += weight * x[j * dim + d];
            slopes[j * dim + d] += weight * x[i * dim + d];
          }
        }
      }
    },
  };
}
