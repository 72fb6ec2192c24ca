/** A target's attention over a sequence in an ONNX graph; formulas in plain-attention.ts. */
import type { AttentionShape } from './net-shape.ts';
import type { GraphWriter, Value } from './onnx-graph.ts';
import { chainOf } from './onnx-layers.ts';
import type { OnnxParameterGradient } from './onnx-part.ts';

export interface OnnxAttention {
  /** [rows, dim], to be added to the sequence's slot. */
  readonly pooled: Value;
  /** @param delta [rows, dim]: ∂loss/∂pooled. */
  backward(delta: Value): {
    /** [rows, dim] */
    readonly target: Value;
    /** [rows, lengthMax · dim] */
    readonly positions: Value;
    readonly parameters: readonly OnnxParameterGradient[];
  };
}

/**
 * @param gathered float32[rows, embeddingFloats]
 * @param lengths int32[rows, 1]: how many positions count.
 */
export function attentionOf(
  graph: GraphWriter,
  { dim, lengthMax, targetOffset, positionsOffset, layers }: AttentionShape,
  gathered: Value,
  lengths: Value,
): OnnxAttention {
  const positionsEnd = positionsOffset + lengthMax * dim;
  const h = graph.reshape(graph.slice(gathered, 1, positionsOffset, positionsEnd), [-1, lengthMax, dim]);
  const t = graph.reshape(graph.slice(gathered, 1, targetOffset, targetOffset + dim), [-1, 1, dim]);
  const difference = graph.sub(h, t);
  /** The target once a position. */
  const targets = graph.op('Expand', [t, graph.integers([1, lengthMax, 1])]);
  const compared = graph.concat([h, targets, difference, graph.mul(h, t)], 2);
  const chain = chainOf(graph, layers, graph.reshape(compared, [-1, 4 * dim]));
  const numbers = graph.integers(Array.from({ length: lengthMax }, (_, j) => j));
  const counts = graph.op('Less', [numbers, graph.op('Cast', [lengths], [{ name: 'to', int: 7 }])]);
  /** [rows, lengthMax]: 1 where a position counts, else 0. */
  const mask = graph.op('Cast', [counts], [{ name: 'to', int: 1 }]);
  const masked = graph.mul(graph.reshape(chain.output, [-1, lengthMax]), mask);
  const weights = graph.reshape(masked, [-1, lengthMax, 1]);
  return {
    pooled: graph.reshape(graph.op('MatMul', [graph.reshape(masked, [-1, 1, lengthMax]), h]), [-1, dim]),
    backward(delta) {
      const slopes = graph.reshape(delta, [-1, 1, dim]);
      const deltas = graph.mul(graph.sum(graph.mul(h, slopes), [2]), mask);
      const back = chain.backward(graph.column(deltas));
      const quarters = graph.reshape(back.inputs, [-1, lengthMax, 4 * dim]);
      const [own, target, apart, product] = [0, 1, 2, 3].map((q) =>
        graph.slice(quarters, 2, q * dim, (q + 1) * dim),
      );
      const positions = [own, apart, graph.mul(product, t)].reduce(
        (sum, term) => graph.add(sum, term),
        graph.mul(weights, slopes),
      );
      const toTarget = graph.add(graph.sub(target, apart), graph.mul(product, h));
      return {
        target: graph.sum(toTarget, [1]),
        positions: graph.reshape(positions, [-1, lengthMax * dim]),
        parameters: back.parameters,
      };
    },
  };
}
