/**
 * A target's attention over a sequence for one example (DIN, Zhou et al., KDD 2018; weights are not normalised):
 *   a_j = net([h_j, t, h_j − t, h_j ∘ t]);   pooled = Σ_{j < length} a_j · h_j
 *   δa_j = ⟨δpooled, h_j⟩;   δh_j = a_j · δpooled + δ₁ + δ₃ + δ₄ ∘ t;   δt = Σ_j (δ₂ − δ₃ + δ₄ ∘ h_j)
 * with δ₁ … δ₄ the four parts of ∂loss/∂inputs of the net at position j.
 */
import type { AttentionShape } from './net-shape.ts';
import {
  backwardLayers,
  createPlainChain,
  forwardLayers,
  outputPlace,
  type PlainChain,
} from './plain-layers.ts';

export interface PlainAttention {
  /**
   * Adds the pooled vector to the sequence's slot in x.
   * @param gathered float32, the example's embeddings from `at` on.
   */
  forward(
    gathered: Float32Array,
    at: number,
    length: number,
    x: Float64Array,
    parameters: Float32Array,
  ): void;
  /** Writes the positions' gradients to out and adds the target's to slopes, where the slot's own gradient stands. */
  backward(
    gathered: Float32Array,
    at: number,
    length: number,
    slopes: Float64Array,
    parameters: Float32Array,
    sums: Float64Array,
    out: Float32Array,
  ): void;
}

export function createPlainAttention(shape: AttentionShape): PlainAttention {
  const { dim, slotOffset, targetOffset, positionsOffset, lengthMax, layers } = shape;
  const chain = createPlainChain(layers, 4 * dim);
  const output = outputPlace(chain);
  const targetSlopes = new Float64Array(dim);
  return {
    forward(gathered, at, length, x, parameters) {
      for (let j = 0; j < length; j++) {
        const h = at + positionsOffset + j * dim;
        compare(chain, gathered, h, at + targetOffset, dim);
        forwardLayers(chain, parameters);
        const weight = chain.values[output];
        for (let d = 0; d < dim; d++) x[slotOffset + d] += weight * gathered[h + d];
      }
    },
    backward(gathered, at, length, slopes, parameters, sums, out) {
      const t = at + targetOffset;
      targetSlopes.fill(0);
      for (let j = 0; j < length; j++) {
        const h = at + positionsOffset + j * dim;
        compare(chain, gathered, h, t, dim);
        forwardLayers(chain, parameters);
        const weight = chain.values[output];
        let delta = 0;
        for (let d = 0; d < dim; d++) delta += slopes[slotOffset + d] * gathered[h + d];
        chain.deltas[output] = delta;
        backwardLayers(chain, parameters, sums);
        const { deltas } = chain;
        for (let d = 0; d < dim; d++) {
          const difference = deltas[2 * dim + d];
          const product = deltas[3 * dim + d];
          out[h + d] = weight * slopes[slotOffset + d] + deltas[d] + difference + product * gathered[t + d];
          targetSlopes[d] += deltas[dim + d] - difference + product * gathered[h + d];
        }
      }
      out.fill(0, at + positionsOffset + length * dim, at + positionsOffset + lengthMax * dim);
      for (let d = 0; d < dim; d++) slopes[targetOffset + d] += targetSlopes[d];
    },
  };
}

/** Fills the net's inputs with [h, t, h − t, h ∘ t]. */
function compare({ values }: PlainChain, gathered: Float32Array, h: number, t: number, dim: number): void {
  for (let d = 0; d < dim; d++) {
    const own = gathered[h + d];
    const target = gathered[t + d];
    values[d] = own;
    values[dim + d] = target;
    values[2 * dim + d] = own - target;
    values[3 * dim + d] = own * target;
  }
}
