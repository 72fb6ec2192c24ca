/** A target's attention over a sequence in TensorFlow.js; formulas in plain-attention.ts. */
import type { Tensor, Tensor2D, Tensor3D } from '@tensorflow/tfjs-core';
import type { AttentionShape } from './net-shape.ts';
import { loadChain } from './tfjs-layers.ts';
import type { ParameterGradient, Tf } from './tfjs-part.ts';

export interface TfAttention {
  readonly weights: readonly Tensor[];
  /**
   * @param gathered [rows, embeddingFloats]
   * @param mask [rows, lengthMax]: 1 where a position counts, else 0.
   */
  forward(gathered: Tensor2D, mask: Tensor2D): AttentionTrace;
}

export interface AttentionTrace {
  /** [rows, dim], to be added to the sequence's slot. */
  readonly pooled: Tensor2D;
  /** @param delta [rows, dim]: ∂loss/∂pooled. */
  backward(delta: Tensor2D): {
    /** [rows, dim] */
    readonly target: Tensor2D;
    /** [rows, lengthMax · dim] */
    readonly positions: Tensor2D;
    readonly parameters: readonly ParameterGradient[];
  };
}

/** float32[rows, lengthMax] of attended sequence s: 1 where a position counts, else 0. */
export function maskOf(
  lengths: Int32Array,
  { rows, s, sequences, lengthMax }: { rows: number; s: number; sequences: number; lengthMax: number },
): Float32Array {
  const mask = new Float32Array(rows * lengthMax);
  for (let b = 0; b < rows; b++) mask.fill(1, b * lengthMax, b * lengthMax + lengths[b * sequences + s]);
  return mask;
}

export function loadAttention(tf: Tf, shape: AttentionShape, parameters: Float32Array): TfAttention {
  const { dim, lengthMax, targetOffset, positionsOffset, layers } = shape;
  const chain = loadChain(tf, layers, parameters);
  return {
    weights: chain.weights,
    forward(gathered, mask) {
      const [rows] = gathered.shape;
      const size: [number, number, number] = [rows, lengthMax, dim];
      const h: Tensor3D = tf.reshape(tf.slice(gathered, [0, positionsOffset], [rows, lengthMax * dim]), size);
      const t: Tensor3D = tf.reshape(tf.slice(gathered, [0, targetOffset], [rows, dim]), [rows, 1, dim]);
      const parts = [h, tf.tile(t, [1, lengthMax, 1]), tf.sub(h, t), tf.mul(h, t)] as Tensor3D[];
      const trace = chain.forward(tf.reshape(tf.concat(parts, 2), [rows * lengthMax, 4 * dim]));
      const weights: Tensor3D = tf.reshape(tf.mul(tf.reshape(trace.output, mask.shape), mask), [
        rows,
        lengthMax,
        1,
      ]);
      return {
        pooled: tf.sum(tf.mul(h, weights), 1) as Tensor2D,
        backward(delta) {
          const slopes: Tensor3D = tf.reshape(delta, [rows, 1, dim]);
          const deltas = tf.mul(tf.sum(tf.mul(h, slopes), 2), mask);
          const back = trace.backward(
            { rows: tf.reshape(deltas, [-1, 1]), columns: tf.reshape(deltas, [1, -1]) },
            4 * dim,
          );
          const compared = tf.reshape(tf.transpose(back.inputsT as Tensor2D), [rows, lengthMax, 4 * dim]);
          const [own, target, difference, product] = tf.split(compared, 4, 2) as Tensor3D[];
          const positions = tf.addN([tf.mul(weights, slopes), own, difference, tf.mul(product, t)]);
          const targets = tf.add(tf.sub(target, difference), tf.mul(product, h));
          return {
            target: tf.sum(targets, 1) as Tensor2D,
            positions: tf.reshape(positions, [rows, lengthMax * dim]),
            parameters: back.parameters,
          };
        },
      };
    },
  };
}
