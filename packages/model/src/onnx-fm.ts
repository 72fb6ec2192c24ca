/** The factorisation machine in an ONNX graph; formulas in plain-fm.ts. */
import type { FmShape } from './net-shape.ts';
import type { Value } from './onnx-graph.ts';
import type { OnnxPart } from './onnx-part.ts';

export const fmOf: OnnxPart<FmShape> = (graph, { slots, dim }, examples) => {
  const x = examples.slots as Value;
  const sums = graph.groupSums(x, slots, dim);
  const squares = graph.rowSums(graph.mul(x, x), slots * dim);
  const difference = graph.sub(graph.rowSums(graph.mul(sums, sums), dim), squares);
  return {
    logits: graph.reshape(graph.mul(difference, graph.scalar(0.5)), [-1]),
    backward(logitGradients) {
      const bySlot = graph.reshape(x, [-1, slots, dim]);
      const others = graph.sub(graph.reshape(sums, [-1, 1, dim]), bySlot);
      const slopes = graph.mul(graph.reshape(others, [-1, slots * dim]), graph.column(logitGradients));
      return { slots: slopes, parameters: [] };
    },
  };
};
