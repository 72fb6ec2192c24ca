/**
 * The field-weighted factorisation machine in TensorFlow.js. With R symmetric, r_ij off its diagonal and 0 on it, and E the
 * slots of all examples side by side, [slots, rows · dim]:
 *   term_b = ½ Σ E ∘ (R·E) over b's columns;   ∂E = g_b · (R·E);   ∂r_ij = ((g ∘ E)·Eᵀ)_ij
 */
import type { Tensor1D, Tensor2D, Tensor3D } from '@tensorflow/tfjs-core';
import type { FwfmShape } from './net-shape.ts';
import { pairPlaces, symmetricPlaces } from './slot-pairs.ts';
import { placesFrom, type Tf, type TfPart } from './tfjs-part.ts';

export function loadFwfm(tf: Tf, { slots, dim, offset }: FwfmShape, parameters: Float32Array): TfPart {
  const symmetric = symmetricPlaces(slots).map((pair) => (pair < 0 ? 0 : parameters[offset + pair]));
  const weights = tf.tensor2d(Float32Array.from(symmetric), [slots, slots]);
  const pairs = placesFrom(tf, pairPlaces(slots));
  return {
    weights: [weights, pairs],
    score: null,
    forward({ rows, slots: flat }) {
      const sideBySide: Tensor3D = tf.transpose(tf.reshape(flat as Tensor2D, [rows, slots, dim]), [1, 0, 2]);
      const e: Tensor2D = tf.reshape(sideBySide, [slots, rows * dim]);
      const weighted: Tensor3D = tf.reshape(tf.matMul(weights, e), [slots, rows, dim]);
      return {
        logits: tf.mul(tf.sum(tf.mul(sideBySide, weighted), [0, 2]), 0.5) as Tensor1D,
        backward(logitGradients) {
          const g = tf.reshape(logitGradients, [1, rows, 1]);
          const slopes = tf.reshape(tf.transpose(tf.mul(weighted, g), [1, 0, 2]), [rows, slots * dim]);
          const products = tf.matMul(tf.reshape(tf.mul(sideBySide, g), e.shape) as Tensor2D, tf.transpose(e));
          const values = tf.gather(tf.reshape(products, [slots * slots]), pairs);
          return { slots: slopes as Tensor2D, parameters: [{ offset, values }] };
        },
      };
    },
  };
}
