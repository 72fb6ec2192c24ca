/**
 * The factorisation machine's second-order term, in the linear-time form of Rendle (ICDM 2010):
 *   fm = ½ Σ_d ((Σ_s e[s, d])² − Σ_s e[s, d]²);     ∂fm/∂e[s, d] = (Σ_t e[t, d]) − e[s, d]
 */

import type { InputSide } from './input-sides.ts';
import type { FmShape } from './net-shape.ts';
import type { PlainPart, PlainSplit } from './plain-part.ts';

/** @param sides of the slots' floats. */
export function createPlainFm({ slots, dim }: FmShape, sides: readonly InputSide[]): PlainPart {
  const floats = slots * dim;
  /** Σ_s e[s, d] of the example in work. */
  const sums = new Float64Array(dim);
  /** Starts of the slots that a request's items share, and of the others. */
  const starts = Array.from({ length: slots }, (_, s) => s * dim);
  const shared = Int32Array.from(starts.filter((start) => sides[start] === 'shared'));
  const others = Int32Array.from(starts.filter((start) => sides[start] !== 'shared'));
  /** Of the shared slots: Σ_s e[s, d], then Σ_s e[s, d]². */
  const sharedSums = new Float64Array(2 * dim);
  const split: PlainSplit = {
    use() {},
    begin({ x }) {
      sharedSums.fill(0);
      for (let s = 0; s < shared.length; s++) {
        for (let d = 0; d < dim; d++) {
          const e = x[shared[s] + d];
          sharedSums[d] += e;
          sharedSums[dim + d] += e * e;
        }
      }
    },
    item({ x }) {
      let term = 0;
      for (let d = 0; d < dim; d++) {
        let sum = sharedSums[d];
        let squares = sharedSums[dim + d];
        for (let s = 0; s < others.length; s++) {
          const e = x[others[s] + d];
          sum += e;
          squares += e * e;
        }
        sums[d] = sum;
        term += sum * sum - squares;
      }
      return term / 2;
    },
  };
  return {
    split,
    forward(example) {
      split.begin(example);
      return split.item(example);
    },
    backward({ x, slopes }, _parameters, gradient) {
      for (let d = 0; d < dim; d++) {
        for (let i = d; i < floats; i += dim) slopes[i] += gradient * (sums[d] - x[i]);
      }
    },
  };
}
