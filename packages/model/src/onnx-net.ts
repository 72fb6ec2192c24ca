/**
 * A net as ONNX graphs, put together from its parts as in tfjs-net.ts: one that gives logits, one that gives gradients too.
 *
 *   inputs    wide [rows], embeddings [rows, embeddingFloats], dense [rows, denseFields], lengths int32[rows, attention], each
 *             where the net reads it; for gradients also shown, clicked and offsets, [rows] each
 *   outputs   logits [rows]; for gradients also logitGradients [rows], embeddingGradients [rows, embeddingFloats] and, for
 *             each tensor of parameters, gradient_<offset>
 */
import type { NetPart, NetShape } from './net-shape.ts';
import { attentionOf, type OnnxAttention } from './onnx-attention.ts';
import { deepOf } from './onnx-deep.ts';
import { fmOf } from './onnx-fm.ts';
import { fwfmOf } from './onnx-fwfm.ts';
import { GraphWriter, rowsDimension, type Value } from './onnx-graph.ts';
import {
  type OnnxExamples,
  type OnnxGradients,
  type OnnxParameterGradient,
  type OnnxPart,
  type OnnxTerm,
  sumOf,
} from './onnx-part.ts';
import { towersOf } from './onnx-towers.ts';

/** What makes each kind of part. */
const makers: { readonly [K in NetPart['kind']]: OnnxPart<Extract<NetPart, { kind: K }>> } = {
  fm: fmOf,
  fwfm: fwfmOf,
  deep: deepOf,
  towers: towersOf,
};

/** Where a tensor of parameters' gradient goes. */
export interface GradientPlace {
  readonly name: string;
  readonly offset: number;
  readonly dims: readonly number[];
}

/** A part's term, by whole rows. */
export function termOf(graph: GraphWriter, part: NetPart, examples: OnnxExamples): OnnxTerm {
  return (makers[part.kind] as OnnxPart<NetPart>)(graph, part, examples);
}

/** Gives logits alone. */
export function forwardGraph(shape: NetShape): GraphWriter {
  const graph = new GraphWriter();
  graph.output(netOf(graph, shape).logits, 'logits', [rowsDimension]);
  return graph;
}

/** Gives logits and all gradients. */
export function gradientsGraph(shape: NetShape): { graph: GraphWriter; places: readonly GradientPlace[] } {
  const graph = new GraphWriter();
  const net = netOf(graph, shape);
  const [shown, clicked, offsets] = ['shown', 'clicked', 'offsets'].map((name) =>
    graph.input({ name, type: 'float32', dims: [rowsDimension] }),
  );
  const expected = graph.op('Sigmoid', [graph.add(net.logits, offsets)]);
  const logitGradients = graph.sub(graph.mul(shown, expected), clicked);
  graph.output(net.logits, 'logits', [rowsDimension]);
  graph.output(logitGradients, 'logitGradients', [rowsDimension]);
  const { slots, parameters } = net.backward(logitGradients);
  if (slots !== null) graph.output(slots, 'embeddingGradients', [rowsDimension, shape.embeddingFloats]);
  const places = parameters.map(({ offset, dims, value }): GradientPlace => {
    const name = `gradient_${offset}`;
    graph.output(value, name, dims);
    return { name, offset, dims };
  });
  return { graph, places };
}

/** The whole net as a term: `slots` of its gradients are [rows, embeddingFloats]. */
function netOf(graph: GraphWriter, shape: NetShape): OnnxTerm {
  const { hasWide, slotFloats, embeddingFloats, denseFields } = shape;
  const matrix = (name: string, columns: number) =>
    columns === 0 ? null : graph.input({ name, type: 'float32', dims: [rowsDimension, columns] });
  const wide = hasWide ? [graph.input({ name: 'wide', type: 'float32', dims: [rowsDimension] })] : [];
  const slots = slotsOf(graph, shape, matrix('embeddings', embeddingFloats));
  const dense = matrix('dense', denseFields);
  const read = [slots.values, dense].filter((value) => value !== null);
  const all = read.length === 0 ? null : graph.concat(read, 1);
  const examples: OnnxExamples = { slots: slots.values, slotFloats, all, denseFields };
  const terms = shape.parts.map((part) => termOf(graph, part, examples));
  return {
    logits: [...wide, ...terms.map(({ logits }) => logits)].reduce((sum, term) => graph.add(sum, term)),
    backward(logitGradients) {
      let slopes: Value | null = null;
      const found: OnnxParameterGradient[] = [];
      for (const term of terms) {
        const back = term.backward(logitGradients);
        slopes = sumOf(graph, slopes, back.slots);
        found.push(...back.parameters);
      }
      return slots.backward(slopes, found);
    },
  };
}

interface Slots {
  readonly values: Value | null;
  backward(slopes: Value | null, found: readonly OnnxParameterGradient[]): OnnxGradients;
}

/** The slots of a batch, attended sequences pooled into theirs. */
function slotsOf(graph: GraphWriter, { attention, slotFloats }: NetShape, gathered: Value | null): Slots {
  if (gathered === null || attention.length === 0) {
    return { values: gathered, backward: (slots, parameters) => ({ slots, parameters }) };
  }
  const inSlot = (value: Value, offset: number, dim: number) =>
    graph.padColumns(value, offset, slotFloats - offset - dim);
  const lengths = graph.input({ name: 'lengths', type: 'int32', dims: [rowsDimension, attention.length] });
  let values = graph.slice(gathered, 1, 0, slotFloats);
  const traces = attention.map((sequence, s): OnnxAttention => {
    const trace = attentionOf(graph, sequence, gathered, graph.slice(lengths, 1, s, s + 1));
    values = graph.add(values, inSlot(trace.pooled, sequence.slotOffset, sequence.dim));
    return trace;
  });
  return {
    values,
    backward(slopes, found) {
      const parameters = [...found];
      const positions: Value[] = [];
      let slots = slopes as Value;
      traces.forEach((trace, s) => {
        const { slotOffset, targetOffset, dim } = attention[s];
        const back = trace.backward(graph.slice(slopes as Value, 1, slotOffset, slotOffset + dim));
        slots = graph.add(slots, inSlot(back.target, targetOffset, dim));
        positions.push(back.positions);
        parameters.push(...back.parameters);
      });
      return { slots: graph.concat([slots, ...positions], 1), parameters };
    },
  };
}
