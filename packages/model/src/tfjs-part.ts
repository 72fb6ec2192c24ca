/**
 * What a part of a net is to TensorFlow.js, on every backend. Backward is written out by hand. The library's own gradients
 * multiply by transposed operands, which its WASM backend does some ten times slower than plain products; and that backend
 * repacks the right operand of a product whenever it is a new tensor. So each product has its operands the right way round,
 * and the smaller, batch-sized one on the right (DESIGN.md has the figures, and the trap: no two products may have one memory
 * in two shapes as their right operand; reshape shares memory, transpose does not).
 *
 * Examples are rows; a name that ends in T has them as columns. Everything is to be called inside tf.tidy and disposes of
 * nothing itself, but for what `weights` lists, which its owner disposes.
 */
import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import type { TfScore } from './tfjs-split.ts';

/** The part of the library that a net needs; handed in, for it is imported only when an engine is opened. */
export type Tf = typeof import('@tensorflow/tfjs-core');

/** A batch as parts read it. */
export interface TfExamples {
  readonly rows: number;
  /** [rows, slotFloats], attention's pooled vectors in their slots; null when there are no slots. */
  readonly slots: Tensor2D | null;
  /** [rows, slotFloats + denseFields]: [slots, dense]; null when there are neither. */
  readonly all: Tensor2D | null;
}

/** ∂loss/∂ parameters from `offset` on, summed over the batch. */
export interface ParameterGradient {
  readonly offset: number;
  readonly values: Tensor;
}

export interface TfGradients {
  /** [rows, slotFloats], null when the part does not read slots. */
  readonly slots: Tensor2D | null;
  readonly parameters: readonly ParameterGradient[];
}

/** A part's term of the logits, and the way back from it. */
export interface TfTerm {
  /** [rows] */
  readonly logits: Tensor1D;
  /** @param logitGradients [rows]: ∂loss_b/∂logit_b. */
  backward(logitGradients: Tensor1D): TfGradients;
}

/** A part with its weights loaded. */
export interface TfPart {
  /** Made by the part so far, to be disposed with it. */
  readonly weights: readonly Tensor[];
  forward(examples: TfExamples): TfTerm;
  /** The term of a batch of requests, without a way back; null: `forward` it is. */
  readonly score: TfScore | null;
}

/** A copy of parameters as a matrix: the CPU backend keeps the array that it is given, and the caller may write to its own. */
export function matrixFrom(
  tf: Tf,
  parameters: Float32Array,
  offset: number,
  [rows, columns]: readonly [number, number],
): Tensor2D {
  return tf.tensor2d(parameters.slice(offset, offset + rows * columns), [rows, columns]);
}

export function vectorFrom(tf: Tf, parameters: Float32Array, offset: number, count: number): Tensor1D {
  return tf.tensor1d(parameters.slice(offset, offset + count));
}

/** Numbers of places, for tf.gather. */
export function placesFrom(tf: Tf, places: readonly number[]): Tensor1D {
  return tf.tensor1d(Int32Array.from(places), 'int32');
}

/** a + b, of which either may be absent. */
export function sumOf<T extends Tensor>(tf: Tf, a: T | null, b: T | null): T | null {
  if (a === null || b === null) return a ?? b;
  return tf.add(a, b);
}
