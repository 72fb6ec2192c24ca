/** The factorisation machine in an ONNX graph; formulas in plain-fm.ts. */
import type { FmShape } from './net-shape.ts';
import type { Value } from './onnx-graph.ts';
import type { OnnxPart } from './onnx-part.ts';

export const fmOf: OnnxPart<FmShape> = (graph, { slots, dim }, examples) => {
  const x = examples.slots as Value;
  const bySlot = graph.reshape(x, [-1, slots, dim]);
  const sums = graph.sum(bySlot, [1]);
  const squares = graph.sum(graph.mul(x, x), [1]);
  const difference = graph.sub(graph.sum(graph.mul(sums, sums), [1]), squares);
  return {
    logits: graph.mul(difference, graph.scalar(0.5)),
    backward(logitGradients) {
      const others = graph.sub(graph.reshape(sums, [-1, 1, dim]), bySlot);
      const slopes = graph.mul(graph.reshape(others, [-1, slots * dim]), graph.column(logitGradients));
      return { slots: slopes, parameters: [] };
    },
  };
};
