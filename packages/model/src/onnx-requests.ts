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
 *   inputs    shared float32[requests, places of side `shared`]; own float32[rows, the other places]; requestOf int32[rows], or
 *             int32[1] for a single request, whose values then go along with every row; embeddings and dense as in onnx-net.ts
 *             where a part reads whole rows
 *   outputs   logits, rows floats: without the wide sum, which is a loop over as many floats and here two operators
 */
import { type InputSide, placesOf } from './input-sides.ts';
import type { DeepShape, FmShape, NetPart, NetShape, TowersShape } from './net-shape.ts';
import { GraphWriter, rowsDimension, type Value } from './onnx-graph.ts';
import { activationOf, chainOf } from './onnx-layers.ts';
import { termOf } from './onnx-net.ts';
import type { OnnxExamples } from './onnx-part.ts';
import { runsOf } from './shared-inputs.ts';

/** What a graph for requests reads, apart by its sides. */
export interface RequestSides {
  /** What the input `shared` has of each request, places of [slots, dense]. */
  readonly sharedPlaces: Int32Array;
  /** What the input `own` has of each row. */
  readonly ownPlaces: Int32Array;
  /** True when a part reads whole rows, so that what is shared has to stand in each. */
  readonly readsRows: boolean;
}

export interface RequestsGraph extends RequestSides {
  readonly graph: GraphWriter;
}

/** What parts read of a batch; places are of [slots, dense]. */
interface OnnxRequests {
  /** [requests, places] */
  shared(places: readonly number[]): Value;
  /** [rows, places] */
  own(places: readonly number[]): Value;
  /** [requests, n] → [rows, n], or [1, n] for a single request. */
  toItems(value: Value): Value;
}

/** A part's term of the logits, [rows, 1]. */
type Score<S> = (graph: GraphWriter, shape: S, sides: readonly InputSide[], batch: OnnxRequests) => Value;

const scores: { readonly [K in NetPart['kind']]: Score<Extract<NetPart, { kind: K }>> | null } = {
  fm: scoreFm,
  fwfm: null,
  deep: scoreDeep,
  towers: scoreTowers,
};

/**
 * What is computed once has to save so many multiply-adds a row, or the graph with all of it for each row takes less time: two more
 * inputs and operators, and cutting out the items' own inputs, take 10 µs a call on one core, as do 8,192 of them for 100 rows. The
 * whole graph of towers has to cut its inputs apart as well.
 */
const savingsMin = 8_192;

/** Null: a request's items share nothing that is worth being computed once. */
export function requestsGraph(shape: NetShape): RequestsGraph | null {
  const { parts, sides, attention } = shape;
  const isWorthwhile = (part: NetPart) =>
    isSplit(part, sides) && (part.kind === 'towers' || savingsOf(part, sides) >= savingsMin);
  // An item that attends to a history pools it for itself.
  if (attention.length > 0 || !parts.some(isWorthwhile)) return null;
  const graph = new GraphWriter();
  const sharedPlaces = placesOf(sides, 'shared');
  const ownPlaces = Int32Array.from(sides.flatMap((side, place) => (side === 'shared' ? [] : [place])));
  const batch = batchOf(graph, sharedPlaces, ownPlaces);
  let whole: OnnxExamples | null = null;
  const examples = () => {
    whole ??= wholeRows(graph, shape);
    return whole;
  };
  const terms = parts.map((part) =>
    isSplit(part, sides)
      ? (scores[part.kind] as Score<NetPart>)(graph, part, sides, batch)
      : graph.column(termOf(graph, part, examples()).logits),
  );
  const sum = terms.reduce((total, term) => graph.add(total, term));
  graph.output(sum, 'logits', [rowsDimension, 1]);
  return { graph, sharedPlaces, ownPlaces, readsRows: whole !== null };
}

/** A cross network and dots mix the sides before anything else; without both sides there is nothing to split. */
function isSplit(part: NetPart, sides: readonly InputSide[]): boolean {
  if (scores[part.kind] === null) return false;
  if (part.kind === 'deep' && (part.cross !== null || part.dots !== null || part.hidden.length === 0))
    return false;
  const read = part.kind === 'fm' ? sides.slice(0, part.slots * part.dim) : sides;
  return read.includes('shared') && read.some((side) => side !== 'shared');
}

/** Multiply-adds a row that are made once a request. */
function savingsOf(part: NetPart, sides: readonly InputSide[]): number {
  const shared = sides.filter((side) => side === 'shared').length;
  if (part.kind === 'deep') return shared * part.hidden[0].units;
  if (part.kind === 'fm')
    return sides.slice(0, part.slots * part.dim).filter((side) => side === 'shared').length * part.dim;
  return 0;
}

function wholeRows(graph: GraphWriter, { slotFloats, embeddingFloats, denseFields }: NetShape): OnnxExamples {
  const matrix = (name: string, columns: number) =>
    columns === 0 ? null : graph.input({ name, type: 'float32', dims: [rowsDimension, columns] });
  const slots = matrix('embeddings', embeddingFloats);
  const dense = matrix('dense', denseFields);
  const read = [slots, dense].filter((value) => value !== null);
  return { slots, slotFloats, all: graph.concat(read, 1), denseFields };
}

function batchOf(graph: GraphWriter, sharedPlaces: Int32Array, ownPlaces: Int32Array): OnnxRequests {
  const shared = graph.input({ name: 'shared', type: 'float32', dims: ['requests', sharedPlaces.length] });
  const own = graph.input({ name: 'own', type: 'float32', dims: [rowsDimension, ownPlaces.length] });
  const requestOf = graph.input({ name: 'requestOf', type: 'int32', dims: ['repeated'] });
  const columnsOf = (value: Value, all: Int32Array, places: readonly number[]) =>
    graph.columns(
      value,
      all.length,
      places.map((place) => all.indexOf(place)),
    );
  return {
    shared: (places) => columnsOf(shared, sharedPlaces, places),
    own: (places) => columnsOf(own, ownPlaces, places),
    toItems: (value) => graph.op('Gather', [value, requestOf], [{ name: 'axis', int: 0 }]),
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
  return chainOf(graph, [...rest, unit], activationOf(graph, first, z)).output;
}

function scoreTowers(
  graph: GraphWriter,
  { shared, item }: TowersShape,
  _sides: readonly InputSide[],
  batch: OnnxRequests,
): Value {
  const a = batch.toItems(chainOf(graph, shared.layers, batch.shared(shared.inputs)).output);
  const b = chainOf(graph, item.layers, batch.own(item.inputs)).output;
  return graph.rowSums(graph.mul(a, b), item.layers.at(-1)?.units ?? item.inputs.length);
}

function scoreFm(
  graph: GraphWriter,
  { slots, dim }: FmShape,
  sides: readonly InputSide[],
  batch: OnnxRequests,
): Value {
  const floats = Array.from({ length: slots * dim }, (_, place) => place);
  const sumsOf = (x: Value, width: number) => ({
    sums: graph.groupSums(x, width / dim, dim),
    squares: graph.rowSums(graph.mul(x, x), width),
  });
  const shared = floats.filter((place) => sides[place] === 'shared');
  const own = floats.filter((place) => sides[place] !== 'shared');
  const once = sumsOf(batch.shared(shared), shared.length);
  const each = sumsOf(batch.own(own), own.length);
  const sums = graph.add(batch.toItems(once.sums), each.sums);
  const squares = graph.add(batch.toItems(once.squares), each.squares);
  const difference = graph.sub(graph.rowSums(graph.mul(sums, sums), dim), squares);
  return graph.mul(difference, graph.scalar(0.5));
}

/** Runs as [from, to]. */
function pairsOf(runs: Int32Array): readonly (readonly [number, number])[] {
  return Array.from({ length: runs.length / 2 }, (_, run) => [runs[2 * run], runs[2 * run + 1]] as const);
}
