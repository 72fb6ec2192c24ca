/**
 * A net in TensorFlow.js, put together from its parts: attended sequences first go into their slots, then each part adds its
 * term to the logits.
 */
import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import type { NetInput } from './engine.ts';
import type { NetPart, NetShape } from './net-shape.ts';
import { sharedInputsOf, spreadShared } from './shared-inputs.ts';
import { type AttentionTrace, loadAttention, maskOf, type TfAttention } from './tfjs-attention.ts';
import { loadDeep } from './tfjs-deep.ts';
import { loadFm } from './tfjs-fm.ts';
import { loadFwfm } from './tfjs-fwfm.ts';
import {
  type ParameterGradient,
  sumOf,
  type Tf,
  type TfExamples,
  type TfGradients,
  type TfPart,
} from './tfjs-part.ts';
import type { TfSplitRoom } from './tfjs-split.ts';
import { loadTowers } from './tfjs-towers.ts';

type Loader<S> = (tf: Tf, shape: S, parameters: Float32Array, room: TfSplitRoom | null) => TfPart;

/** What loads each kind of part. */
const loaders: { readonly [K in NetPart['kind']]: Loader<Extract<NetPart, { kind: K }>> } = {
  fm: loadFm,
  fwfm: loadFwfm,
  deep: loadDeep,
  towers: loadTowers,
};

/** A net with its weights loaded. */
export interface TfNet {
  readonly weights: readonly Tensor[];
  forward(input: NetInput): NetTrace;
  /** Logits of a batch of requests, without a way back. [rows] */
  score(input: NetInput): Tensor1D;
}

export interface NetTrace {
  /** [rows] */
  readonly logits: Tensor1D;
  /** @returns `slots` as [rows, embeddingFloats]. */
  backward(logitGradients: Tensor1D): TfGradients;
}

/** @param rooms by part, made once for all weights of a net. */
export function loadNet(
  tf: Tf,
  shape: NetShape,
  parameters: Float32Array,
  rooms: readonly (TfSplitRoom | null)[],
): TfNet {
  const attention = shape.attention.map((sequence) => loadAttention(tf, sequence, parameters));
  const parts = shape.parts.map((part, p) =>
    (loaders[part.kind] as Loader<NetPart>)(tf, part, parameters, rooms[p]),
  );
  const termsOf = (wide: readonly Tensor1D[], terms: readonly Tensor1D[]) =>
    [...wide, ...terms].reduce((sum, term) => tf.add(sum, term));
  const { shared } = sharedInputsOf(shape);
  const wideOf = ({ wide, rows }: NetInput) => (shape.hasWide ? [tf.tensor1d(wide.subarray(0, rows))] : []);
  return {
    get weights() {
      return [...attention, ...parts].flatMap(({ weights }) => weights);
    },
    score(input) {
      const { rows } = input;
      let whole: TfExamples | null = null;
      const examples = () => {
        spreadShared(input, shared, shape.embeddingFloats);
        const slots = slotsFrom(tf, shape, attention, input).values;
        return {
          rows,
          slots,
          all: concatenated(tf, slots, tensorOf(tf, input.dense, rows, shape.denseFields)),
        };
      };
      const terms = parts.map(({ score, forward }) => {
        if (score !== null && input.requests !== undefined) return score(input);
        whole ??= examples();
        return forward(whole).logits;
      });
      return termsOf(wideOf(input), terms);
    },
    forward(input) {
      const { rows } = input;
      const slots = slotsFrom(tf, shape, attention, input);
      const all = concatenated(tf, slots.values, tensorOf(tf, input.dense, rows, shape.denseFields));
      const terms = parts.map((part) => part.forward({ rows, slots: slots.values, all }));
      return {
        logits: termsOf(
          wideOf(input),
          terms.map((term) => term.logits),
        ),
        backward(logitGradients) {
          let slopes: Tensor2D | null = null;
          const found: ParameterGradient[] = [];
          for (const term of terms) {
            const back = term.backward(logitGradients);
            slopes = sumOf(tf, slopes, back.slots);
            found.push(...back.parameters);
          }
          return slots.backward(slopes, found);
        },
      };
    },
  };
}

interface SlotsTrace {
  readonly values: Tensor2D | null;
  backward(slopes: Tensor2D | null, found: readonly ParameterGradient[]): TfGradients;
}

/** The slots of a batch, attended sequences pooled into theirs. */
function slotsFrom(tf: Tf, shape: NetShape, attention: readonly TfAttention[], input: NetInput): SlotsTrace {
  const { rows, embeddings, lengths } = input;
  const { embeddingFloats, slotFloats } = shape;
  const gathered = tensorOf(tf, embeddings, rows, embeddingFloats);
  if (gathered === null || attention.length === 0) {
    return { values: gathered, backward: (slots, parameters) => ({ slots, parameters }) };
  }
  let values: Tensor2D = tf.slice(gathered, [0, 0], [rows, slotFloats]);
  const traces = attention.map((sequence, s) => {
    const { lengthMax, slotOffset } = shape.attention[s];
    const mask = maskOf(lengths, { rows, s, sequences: attention.length, lengthMax });
    const trace = sequence.forward(gathered, tf.tensor2d(mask, [rows, lengthMax]));
    values = tf.add(values, inSlot(tf, trace.pooled, slotOffset, slotFloats));
    return trace;
  });
  return {
    values,
    backward: (slopes, found) => attentionBackward(tf, shape, traces, slopes as Tensor2D, found),
  };
}

function attentionBackward(
  tf: Tf,
  { attention, slotFloats }: NetShape,
  traces: readonly AttentionTrace[],
  slopes: Tensor2D,
  found: readonly ParameterGradient[],
): TfGradients {
  const parameters = [...found];
  const positions: Tensor2D[] = [];
  let slots = slopes;
  traces.forEach((trace, s) => {
    const { slotOffset, targetOffset, dim } = attention[s];
    const back = trace.backward(tf.slice(slopes, [0, slotOffset], [-1, dim]));
    slots = tf.add(slots, inSlot(tf, back.target, targetOffset, slotFloats));
    positions.push(back.positions);
    parameters.push(...back.parameters);
  });
  return { slots: tf.concat([slots, ...positions], 1), parameters };
}

/** `values` in their slot, zeros in the others. */
function inSlot(tf: Tf, values: Tensor2D, offset: number, slotFloats: number): Tensor2D {
  return tf.pad(values, [
    [0, 0],
    [offset, slotFloats - offset - values.shape[1]],
  ]);
}

/** Shares the caller's memory, so it lives no longer than the call. */
function tensorOf(tf: Tf, values: Float32Array, rows: number, columns: number): Tensor2D | null {
  return columns === 0 ? null : tf.tensor2d(values.subarray(0, rows * columns), [rows, columns]);
}

function concatenated(tf: Tf, a: Tensor2D | null, b: Tensor2D | null): Tensor2D | null {
  if (a === null || b === null) return a ?? b;
  return tf.concat([a, b], 1);
}
