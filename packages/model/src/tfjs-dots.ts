/** Pairwise dot products of slots in TensorFlow.js: those above the diagonal of E·Eᵀ of each example. */
import type { Tensor, Tensor2D, Tensor3D } from '@tensorflow/tfjs-core';
import type { DotsShape } from './net-shape.ts';
import { pairPlaces, symmetricPlaces } from './slot-pairs.ts';
import { placesFrom, type Tf } from './tfjs-part.ts';

export interface TfDots {
  readonly weights: readonly Tensor[];
  /** [rows, pairs] of [rows, slots · dim]; backward takes ∂loss/∂products and gives ∂loss/∂slots. */
  forward(flat: Tensor2D): { readonly products: Tensor2D; backward(delta: Tensor2D): Tensor2D };
}

export function loadDots(tf: Tf, { slots, dim, pairs }: DotsShape): TfDots {
  const above = placesFrom(tf, pairPlaces(slots));
  // The diagonal takes what stands behind the pairs: a 0.
  const whole = placesFrom(
    tf,
    symmetricPlaces(slots).map((pair) => (pair < 0 ? pairs : pair)),
  );
  return {
    weights: [above, whole],
    forward(flat) {
      const [rows] = flat.shape;
      const e: Tensor3D = tf.reshape(flat, [rows, slots, dim]);
      const square = tf.reshape(tf.matMul(e, e, false, true), [rows, slots * slots]);
      return {
        products: tf.gather(square, above, 1) as Tensor2D,
        backward(delta) {
          const padded = tf.pad(delta, [
            [0, 0],
            [0, 1],
          ]);
          const symmetric: Tensor3D = tf.reshape(tf.gather(padded, whole, 1), [rows, slots, slots]);
          return tf.reshape(tf.matMul(symmetric, e), [rows, slots * dim]);
        },
      };
    },
  };
}
