/** Pairwise dot products of slots in an ONNX graph: those above the diagonal of E·Eᵀ of each example. */
import type { DotsShape } from './net-shape.ts';
import type { GraphWriter, Value } from './onnx-graph.ts';
import { pairPlaces, symmetricPlaces } from './slot-pairs.ts';

export interface OnnxDots {
  /** [rows, pairs] */
  readonly products: Value;
  /** @param delta [rows, pairs]: ∂loss/∂products. @returns ∂loss/∂slots, [rows, slots · dim]. */
  backward(delta: Value): Value;
}

/** @param flat [rows, slots · dim] */
export function dotsOf(graph: GraphWriter, { slots, dim, pairs }: DotsShape, flat: Value): OnnxDots {
  const e = graph.reshape(flat, [-1, slots, dim]);
  const square = graph.op('MatMul', [e, graph.transpose(e, [0, 2, 1])]);
  return {
    products: graph.gather(graph.reshape(square, [-1, slots * slots]), pairPlaces(slots), 1),
    backward(delta) {
      // The diagonal takes what stands behind the pairs: a 0.
      const whole = symmetricPlaces(slots).map((pair) => (pair < 0 ? pairs : pair));
      const symmetric = graph.gather(graph.padColumns(delta, 0, 1), whole, 1);
      const slopes = graph.op('MatMul', [graph.reshape(symmetric, [-1, slots, slots]), e]);
      return graph.reshape(slopes, [-1, slots * dim]);
    },
  };
}
