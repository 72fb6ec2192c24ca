/**
 * The field-weighted factorisation machine (Pan et al., WWW 2018):
 *   fwfm = Σ_{i<j} r_ij ⟨e_i, e_j⟩;     ∂/∂e_i = Σ_j r_ij e_j;     ∂/∂r_ij = ⟨e_i, e_j⟩
 */
import type { InputSide } from './input-sides.ts';
import type { FwfmShape } from './net-shape.ts';
import { dotOf } from './plain-dots.ts';
import type { PlainPart } from './plain-part.ts';

/** @param sides of the slots' floats. */
export function createPlainFwfm({ slots, dim, offset }: FwfmShape, sides: readonly InputSide[]): PlainPart {
  /** ⟨e_i, e_j⟩ of the example in work, in the order of r. */
  const products = new Float64Array((slots * (slots - 1)) / 2);
  const isShared = Uint8Array.from({ length: slots }, (_, s) => (sides[s * dim] === 'shared' ? 1 : 0));
  let weights = new Float32Array(0) as Float32Array;
  let sharedTerm = 0;
  /** Σ r_ij ⟨e_i, e_j⟩ over the pairs of which both are shared, or over the others. */
  const termOf = (x: Float64Array, bothShared: 0 | 1) => {
    let term = 0;
    let pair = offset;
    for (let i = 0; i < slots; i++) {
      for (let j = i + 1; j < slots; j++, pair++) {
        if ((isShared[i] & isShared[j]) === bothShared)
          term += weights[pair] * dotOf(x, i * dim, j * dim, dim);
      }
    }
    return term;
  };
  return {
    split: {
      use(parameters) {
        weights = parameters;
      },
      begin({ x }) {
        sharedTerm = termOf(x, 1);
      },
      item: ({ x }) => sharedTerm + termOf(x, 0),
    },
    forward({ x }, parameters) {
      weights = parameters;
      let pair = 0;
      for (let i = 0; i < slots; i++) {
        for (let j = i + 1; j < slots; j++, pair++) products[pair] = dotOf(x, i * dim, j * dim, dim);
      }
      return termOf(x, 1) + termOf(x, 0);
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
