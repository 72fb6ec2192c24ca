/** The factorisation machine in TensorFlow.js; formulas in plain-fm.ts. */
import type { Tensor2D, Tensor3D } from '@tensorflow/tfjs-core';
import type { FmShape } from './net-shape.ts';
import type { Tf, TfPart } from './tfjs-part.ts';

export function loadFm(tf: Tf, { slots, dim }: FmShape): TfPart {
  return {
    weights: [],
    score: null,
    forward({ rows, slots: flat }) {
      const x = flat as Tensor2D;
      const bySlot: Tensor3D = tf.reshape(x, [rows, slots, dim]);
      const sums = tf.sum(bySlot, 1) as Tensor2D;
      const difference = tf.sub(tf.sum(tf.square(sums), 1), tf.sum(tf.square(x), 1));
      return {
        logits: tf.mul(difference, 0.5),
        backward(logitGradients) {
          const others = tf.sub(tf.expandDims(sums, 1), bySlot);
          const slopes = tf.mul(tf.reshape(others, x.shape), tf.reshape(logitGradients, [-1, 1]));
          return { slots: slopes as Tensor2D, parameters: [] };
        },
      };
    },
  };
}
