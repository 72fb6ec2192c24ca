/**
 * A net as an ONNX graph for a batch of requests: what the items of a request share is computed once for all of them.
 *
 *   layers    z = requestOf(x_shared·K_shared + b) + x_own·K_own      K's rows by the side of their inputs
 *   towers    ⟨requestOf(shared tower), item tower⟩
 *   fm        ½ Σ_d ((requestOf(s) + s_own)² − requestOf(q) − q_own)     s, q: sums of slots and of their squares
 *
 * requestOf repeats a request's row for each of its items. Parts that mix both sides from the start run as in onnx-net.ts.
 * Nothing is kept of an item from request to request: to find it by its inputs takes longer than its products do here.
 *
 *   inputs    those of onnx-net.ts, starts int32[requests], requestOf int32[rows]
 *   outputs   logits [rows]
 */
import { type InputSide, placesOf } from './input-sides.ts';
import type { DeepShape, FmShape, NetPart, NetShape, TowersShape } from './net-shape.ts';
import { GraphWriter, rowsDimension, type Value } from './onnx-graph.ts';
import { activationOf, chainOf } from './onnx-layers.ts';
import { termOf } from './onnx-net.ts';
import type { OnnxExamples } from './onnx-part.ts';
import { runsOf } from './shared-inputs.ts';

export interface RequestsGraph {
  readonly graph: GraphWriter;
  /** True when a part reads whole rows, so that what is shared has to stand in each. */
  readonly readsRows: boolean;
}

/** What parts read of a batch; places are of [slots, dense]. */
interface OnnxRequests {
  /** [requests, places], of each request's first row. */
  shared(places: readonly number[]): Value;
  /** [rows, places] */
  own(places: readonly number[]): Value;
  /** [requests, n] → [rows, n] */
  toItems(value: Value): Value;
}

/** A part's term of the logits, [rows]. */
type Score<S> = (graph: GraphWriter, shape: S, sides: readonly InputSide[], batch: OnnxRequests) => Value;

const scores: { readonly [K in NetPart['kind']]: Score<Extract<NetPart, { kind: K }>> | null } = {
  fm: scoreFm,
  fwfm: null,
  deep: scoreDeep,
  towers: scoreTowers,
};

/** Null: a request's items share nothing that would be computed once. */
export function requestsGraph(shape: NetShape): RequestsGraph | null {
  const { hasWide, slotFloats, embeddingFloats, denseFields, parts, sides, attention } = shape;
  // An item that attends to a history pools it for itself.
  if (attention.length > 0 || !parts.some((part) => isSplit(part, sides))) return null;
  const graph = new GraphWriter();
  const matrix = (name: string, columns: number) =>
    columns === 0 ? null : graph.input({ name, type: 'float32', dims: [rowsDimension, columns] });
  const wide = hasWide ? [graph.input({ name: 'wide', type: 'float32', dims: [rowsDimension] })] : [];
  const slots = matrix('embeddings', embeddingFloats);
  const dense = matrix('dense', denseFields);
  const batch = batchOf(graph, { slots, dense, slotFloats });
  let whole: OnnxExamples | null = null;
  const examples = () => {
    const all = graph.concat(
      [slots, dense].filter((value) => value !== null),
      1,
    );
    whole ??= { slots, slotFloats, all, denseFields };
    return whole;
  };
  const terms = parts.map((part) =>
    isSplit(part, sides)
      ? (scores[part.kind] as Score<NetPart>)(graph, part, sides, batch)
      : termOf(graph, part, examples()).logits,
  );
  const sum = [...wide, ...terms].reduce((total, term) => graph.add(total, term));
  graph.output(sum, 'logits', [rowsDimension]);
  return { graph, readsRows: whole !== null };
}

/** A cross network and dots mix the sides before anything else; without both sides there is nothing to split. */
function isSplit(part: NetPart, sides: readonly InputSide[]): boolean {
  if (scores[part.kind] === null) return false;
  if (part.kind === 'deep' && (part.cross !== null || part.dots !== null || part.hidden.length === 0))
    return false;
  const read = part.kind === 'fm' ? sides.slice(0, part.slots * part.dim) : sides;
  return read.includes('shared') && read.some((side) => side !== 'shared');
}

interface Inputs {
  readonly slots: Value | null;
  readonly dense: Value | null;
  readonly slotFloats: number;
}

function batchOf(graph: GraphWriter, { slots, dense, slotFloats }: Inputs): OnnxRequests {
  const axis = [{ name: 'axis', int: 0 }];
  const starts = graph.input({ name: 'starts', type: 'int32', dims: ['requests'] });
  const requestOf = graph.input({ name: 'requestOf', type: 'int32', dims: [rowsDimension] });
  const firsts = new Map<Value, Value>();
  const firstOf = (value: Value) => {
    const known = firsts.get(value) ?? graph.op('Gather', [value, starts], axis);
    firsts.set(value, known);
    return known;
  };
  const columns = (places: readonly number[], rowsOf: (value: Value) => Value) => {
    const inSlots = runsOf(places.filter((place) => place < slotFloats));
    const inDense = runsOf(places.flatMap((place) => (place < slotFloats ? [] : [place - slotFloats])));
    const pieces = [
      ...pairsOf(inSlots).map(([from, to]) => graph.slice(rowsOf(slots as Value), 1, from, to)),
      ...pairsOf(inDense).map(([from, to]) => graph.slice(rowsOf(dense as Value), 1, from, to)),
    ];
    return graph.concat(pieces, 1);
  };
  return {
    shared: (places) => columns(places, firstOf),
    own: (places) => columns(places, (value) => value),
    toItems: (value) => graph.op('Gather', [value, requestOf], axis),
  };
}

function scoreDeep(
  graph: GraphWriter,
  { hidden, unit }: DeepShape,
  sides: readonly InputSide[],
  batch: OnnxRequests,
): Value {
  const [first, ...rest] = hidden;
  const { inputs, units, kernelOffset } = first;
  const shared = [...placesOf(sides, 'shared')];
  const own = sides.flatMap((side, place) => (side === 'shared' ? [] : [place]));
  const rows = (places: readonly number[]) =>
    graph.concat(
      pairsOf(runsOf(places)).map(([from, to]) =>
        graph.weight(kernelOffset + from * units, [to - from, units]),
      ),
      0,
    );
  const bias = graph.weight(kernelOffset + inputs * units, [units]);
  const once = graph.product(batch.shared(shared), rows(shared), bias);
  const z = graph.product(batch.own(own), rows(own), batch.toItems(once));
  return graph.reshape(chainOf(graph, [...rest, unit], activationOf(graph, first, z)).output, [-1]);
}

function scoreTowers(
  graph: GraphWriter,
  { shared, item }: TowersShape,
  _sides: readonly InputSide[],
  batch: OnnxRequests,
): Value {
  const a = batch.toItems(chainOf(graph, shared.layers, batch.shared(shared.inputs)).output);
  const b = chainOf(graph, item.layers, batch.own(item.inputs)).output;
  return graph.sum(graph.mul(a, b), [1]);
}

function scoreFm(
  graph: GraphWriter,
  { slots, dim }: FmShape,
  sides: readonly InputSide[],
  batch: OnnxRequests,
): Value {
  const floats = Array.from({ length: slots * dim }, (_, place) => place);
  const sumsOf = (x: Value) => ({
    sums: graph.sum(graph.reshape(x, [0, -1, dim]), [1]),
    squares: graph.sum(graph.mul(x, x), [1]),
  });
  const once = sumsOf(batch.shared(floats.filter((place) => sides[place] === 'shared')));
  const each = sumsOf(batch.own(floats.filter((place) => sides[place] !== 'shared')));
  const sums = graph.add(batch.toItems(once.sums), each.sums);
  const squares = graph.add(batch.toItems(once.squares), each.squares);
  const difference = graph.sub(graph.sum(graph.mul(sums, sums), [1]), squares);
  return graph.mul(difference, graph.scalar(0.5));
}

/** Runs as [from, to]. */
function pairsOf(runs: Int32Array): readonly (readonly [number, number])[] {
  return Array.from({ length: runs.length / 2 }, (_, run) => [runs[2 * run], runs[2 * run + 1]] as const);
}
