/** Layers in an ONNX graph, with what may stand before and beside them (DeepShape). */
import type { DeepShape } from './net-shape.ts';
import { crossOf } from './onnx-cross.ts';
import { dotsOf } from './onnx-dots.ts';
import type { GraphWriter, Value } from './onnx-graph.ts';
import { chainOf } from './onnx-layers.ts';
import { type OnnxParameterGradient, type OnnxPart, sumOf } from './onnx-part.ts';

export const deepOf: OnnxPart<DeepShape> = (graph, shape, { slots, slotFloats, all, denseFields }) => {
  const { inputs } = shape;
  const read = slotFloats + denseFields;
  const dots = shape.dots === null ? null : dotsOf(graph, shape.dots, slots as Value);
  const x0 = dots === null ? (all as Value) : graph.concat([all as Value, dots.products], 1);
  const body = bodyOf(graph, shape, x0);
  return {
    logits: graph.reshape(body.output, [-1]),
    backward(logitGradients) {
      const { x, parameters } = body.backward(graph.column(logitGradients));
      if (slotFloats === 0) return { slots: null, parameters };
      const own = slotFloats === inputs ? x : graph.slice(x, 1, 0, slotFloats);
      const fromDots = dots === null ? null : dots.backward(graph.slice(x, 1, read, inputs));
      return { slots: sumOf(graph, own, fromDots), parameters };
    },
  };
};

/** From x₀ to the unit, and from the unit's δ, [rows, 1], to that of x₀. */
interface Body {
  readonly output: Value;
  backward(delta: Value): { readonly x: Value; readonly parameters: readonly OnnxParameterGradient[] };
}

function bodyOf(graph: GraphWriter, { inputs, cross, hidden, unit }: DeepShape, x0: Value): Body {
  const crossed = cross === null ? null : crossOf(graph, cross, x0);
  if (crossed === null || cross?.structure === 'stacked') {
    const chain = chainOf(graph, [...hidden, unit], crossed?.output ?? x0);
    return {
      output: chain.output,
      backward(delta) {
        const through = chain.backward(delta);
        if (crossed === null) return { x: through.inputs, parameters: through.parameters };
        const back = crossed.backward(through.inputs);
        return { x: back.x, parameters: [...through.parameters, ...back.parameters] };
      },
    };
  }
  const width = unit.inputs - inputs;
  const chain = chainOf(graph, hidden, x0);
  const head = chainOf(graph, [unit], graph.concat([chain.output, crossed.output], 1));
  return {
    output: head.output,
    backward(delta) {
      const toBoth = head.backward(delta);
      const through = chain.backward(graph.slice(toBoth.inputs, 1, 0, width));
      const back = crossed.backward(graph.slice(toBoth.inputs, 1, width, width + inputs));
      return {
        x: graph.add(back.x, through.inputs),
        parameters: [...toBoth.parameters, ...through.parameters, ...back.parameters],
      };
    },
  };
}
