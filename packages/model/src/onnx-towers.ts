/** Two towers in an ONNX graph. */
import type { TowersShape } from './net-shape.ts';
import type { Value } from './onnx-graph.ts';
import { chainOf } from './onnx-layers.ts';
import type { OnnxPart } from './onnx-part.ts';

export const towersOf: OnnxPart<TowersShape> = (graph, { shared, item }, batch) => {
  const { all, slots, slotFloats, denseFields } = batch;
  const inputsOf = (places: readonly number[]) =>
    graph.columns(all as Value, slotFloats + denseFields, places);
  const read = [...shared.inputs, ...item.inputs];
  const a = chainOf(graph, shared.layers, inputsOf(shared.inputs));
  const b = chainOf(graph, item.layers, inputsOf(item.inputs));
  const units = item.layers.at(-1)?.units ?? item.inputs.length;
  return {
    logits: graph.reshape(graph.rowSums(graph.mul(a.output, b.output), units), [-1]),
    backward(logitGradients) {
      const g = graph.column(logitGradients);
      const toShared = a.backward(graph.mul(g, b.output));
      const toItem = b.backward(graph.mul(g, a.output));
      const parameters = [...toShared.parameters, ...toItem.parameters];
      if (slots === null) return { slots: null, parameters };
      // A slot that neither tower reads takes the column of zeros behind both.
      const places = new Array<number>(slotFloats).fill(read.length);
      read.forEach((from, place) => {
        if (from < slotFloats) places[from] = place;
      });
      const found = graph.padColumns(graph.concat([toShared.inputs, toItem.inputs], 1), 0, 1);
      return { slots: graph.gather(found, places, 1), parameters };
    },
  };
};
