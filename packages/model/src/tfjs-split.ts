/**
 * Towers of requests in TensorFlow.js: the shared one runs once a request, an item's once an item, and both meet in plain loops.
 */
import type { Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import type { NetInput } from './engine.ts';
import { placesOf } from './input-sides.ts';
import { createItemMemo, type ItemMemo } from './item-memo.ts';
import type { NetPart, NetShape } from './net-shape.ts';
import type { Tf } from './tfjs-part.ts';

/** A net's inputs and what one part makes of them; made once a program. */
export interface TfSplitRoom {
  readonly slotFloats: number;
  readonly denseFields: number;
  /** Of [slots, dense]: what a request's items share, and the rest. */
  readonly sharedPlaces: Int32Array;
  readonly ownPlaces: Int32Array;
  /** What is known of items; null for layers, where to find it would take longer than to compute it. */
  readonly memo: ItemMemo | null;
}

/** A part's term of a batch of requests. */
export type TfScore = (input: NetInput) => Tensor1D;

/** Null: the part runs whole. */
export function splitRoomFor(
  part: NetPart,
  { sides, slotFloats, denseFields, attention }: NetShape,
): TfSplitRoom | null {
  if (attention.length > 0) return null;
  const sharedPlaces = placesOf(sides, 'shared');
  const ownPlaces = Int32Array.from(sides.flatMap((side, place) => (side === 'shared' ? [] : [place])));
  const room = { slotFloats, denseFields, sharedPlaces, ownPlaces, memo: null };
  if (part.kind === 'deep') {
    const { cross, dots, hidden } = part;
    const reads = cross === null && dots === null && hidden.length > 0;
    return reads && sharedPlaces.length > 0 && ownPlaces.length > 0 ? room : null;
  }
  if (part.kind !== 'towers' || !part.item.inputs.every((place) => sides[place] === 'item')) return null;
  const units = part.item.layers.at(-1)?.units ?? part.item.inputs.length;
  return { ...room, memo: createItemMemo(part.item.inputs.length, units) };
}

/** Runs inputs of one side, float32[rows, places], through its share of the net. @returns [rows, units]. */
export type TfSide = (inputs: Tensor2D) => Tensor2D;

export interface TfHalves {
  readonly shared: TfSide;
  readonly item: TfSide;
  readonly sharedPlaces: Int32Array;
  readonly itemPlaces: Int32Array;
  readonly units: number;
}

/** What both halves come to, in memory that the next call overwrites. */
export interface MetHalves {
  /** float32[requests, units] */
  readonly shared: Float32Array;
  /** float32[rows, units] */
  readonly items: Float32Array;
  /** Of a row. */
  requestOf(row: number): number;
}

/** Runs both halves of a batch, an item that is known not again. */
export function createHalves(
  tf: Tf,
  room: TfSplitRoom,
  weights: object,
  { shared, item, sharedPlaces, itemPlaces, units }: TfHalves,
): (input: NetInput) => MetHalves {
  const memo = room.memo as ItemMemo;
  const width = itemPlaces.length;
  let inputs = new Float32Array(0);
  let missed = new Float32Array(0);
  let missedRows = new Int32Array(0);
  let items = new Float32Array(0);
  let requests = new Int32Array(0);
  let firsts = new Float32Array(0);

  return (input) => {
    const { rows } = input;
    if (requests.length < rows) {
      inputs = new Float32Array(rows * width);
      missed = new Float32Array(rows * width);
      missedRows = new Int32Array(rows);
      items = new Float32Array(rows * units);
      requests = new Int32Array(rows);
      firsts = new Float32Array(rows * sharedPlaces.length);
    }
    const count = noteRequests(input, requests);
    const { starts } = input.requests ?? {};
    for (let r = 0; r < count; r += 1)
      pack(input, room, starts?.[r] ?? r, sharedPlaces, firsts, r * sharedPlaces.length);
    const sharedOut = valuesOf(shared(matrix(tf, firsts, count, sharedPlaces.length)));

    memo.use(weights);
    let misses = 0;
    for (let b = 0; b < rows; b += 1) {
      pack(input, room, b, itemPlaces, inputs, b * width);
      const known = memo.find(inputs, b * width);
      if (known >= 0) copyFloats(memo.outputs, known, items, b * units, units);
      else {
        copyFloats(inputs, b * width, missed, misses * width, width);
        missedRows[misses] = b;
        misses += 1;
      }
    }
    if (misses > 0) {
      const found = valuesOf(item(matrix(tf, missed, misses, width)));
      for (let m = 0; m < misses; m += 1) {
        copyFloats(found, m * units, items, missedRows[m] * units, units);
        memo.keep(missed, m * width, found, m * units);
      }
    }
    return { shared: sharedOut, items, requestOf: (row) => requests[row] };
  };
}

/** Writes each row's request. @returns how many there are. */
export function noteRequests({ rows, requests }: NetInput, out: Int32Array): number {
  if (requests === undefined) {
    for (let b = 0; b < rows; b += 1) out[b] = b;
    return rows;
  }
  const { starts, count } = requests;
  for (let r = 0; r < count; r += 1) out.fill(r, starts[r], r + 1 < count ? starts[r + 1] : rows);
  return count;
}

/** Copies what stands at `places` of [slots, dense] of a row to out[at …). */
export function pack(
  { embeddings, dense }: NetInput,
  { slotFloats, denseFields }: TfSplitRoom,
  row: number,
  places: Int32Array,
  out: Float32Array,
  at: number,
): void {
  for (let i = 0; i < places.length; i += 1) {
    const place = places[i] - slotFloats;
    out[at + i] = place < 0 ? embeddings[row * slotFloats + places[i]] : dense[row * denseFields + place];
  }
}

export function matrix(tf: Tf, values: Float32Array, rows: number, columns: number): Tensor2D {
  return tf.tensor2d(values.subarray(0, rows * columns), [rows, columns]);
}

function valuesOf(tensor: Tensor2D): Float32Array {
  return tensor.dataSync<'float32'>();
}

function copyFloats(from: Float32Array, fromAt: number, to: Float32Array, toAt: number, count: number): void {
  for (let i = 0; i < count; i += 1) to[toAt + i] = from[fromAt + i];
}
