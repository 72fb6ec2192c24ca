/**
 * The field-weighted factorisation machine in an ONNX graph. With R symmetric, r_ij off its diagonal and 0 on it, and E_b an
 * example's slots, [slots, dim]:
 *   term_b = ½ Σ E_b ∘ (R·E_b);   ∂E_b = g_b · (R·E_b);   ∂r_ij = (Σ_b g_b · E_b·E_bᵀ)_ij
 */
import type { FwfmShape } from './net-shape.ts';
import type { Value } from './onnx-graph.ts';
import type { OnnxPart } from './onnx-part.ts';
import { pairPlaces, symmetricPlaces } from './slot-pairs.ts';

export const fwfmOf: OnnxPart<FwfmShape> = (graph, { slots, dim, offset }, examples) => {
  const places = pairPlaces(slots);
  const pairs = places.length;
  // The diagonal takes what stands behind the pairs: a 0.
  const whole = symmetricPlaces(slots).map((pair) => (pair < 0 ? pairs : pair));
  const padded = graph.op('Pad', [graph.weight(offset, [pairs]), graph.integers([0, 1])]);
  const weights = graph.reshape(graph.gather(padded, whole, 0), [slots, slots]);
  const e = graph.reshape(examples.slots as Value, [-1, slots, dim]);
  const weighted = graph.op('MatMul', [weights, e]);
  const products = graph.reshape(graph.mul(e, weighted), [-1, slots * dim]);
  return {
    logits: graph.reshape(graph.mul(graph.rowSums(products, slots * dim), graph.scalar(0.5)), [-1]),
    backward(logitGradients) {
      const g = graph.reshape(logitGradients, [-1, 1, 1]);
      const sideBySide = (value: Value) => graph.reshape(graph.transpose(value, [1, 0, 2]), [slots, -1]);
      const pairSums = graph.productTransposed(sideBySide(graph.mul(g, e)), sideBySide(e));
      const value = graph.gather(graph.reshape(pairSums, [slots * slots]), places, 0);
      return {
        slots: graph.reshape(graph.mul(g, weighted), [-1, slots * dim]),
        parameters: [{ offset, dims: [pairs], value }],
      };
    },
  };
};
