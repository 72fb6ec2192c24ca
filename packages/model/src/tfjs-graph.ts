/**
 * The dense graph, written once in TensorFlow.js operations for every backend. Backward is written out by hand. The
 * library's own gradients multiply by transposed operands, which its WASM backend does some ten times slower than plain
 * products; and that backend repacks the right operand of a product whenever it is a new tensor. So each product has its
 * operands the right way round, and the smaller, batch-sized one on the right (DESIGN.md has the figures).
 *
 *   forward     x₀ = [embeddings, dense];  xₗ₊₁ = activation(xₗ·Kₗ + bₗ);  logit = wide + fm + x_last
 *   backward    δ_last = g;  ∂Kₗ = xₗᵀ·δₗ;  ∂bₗ = Σ_b δₗ;  δₗ₋₁ᵀ = (Kₗ·δₗᵀ) ∘ slope(xₗᵀ);  ∂x₀ᵀ = K₀·δ₀ᵀ
 *
 * Examples are rows; a name that ends in T has them as columns. Every function is to be called inside tf.tidy and disposes
 * of nothing itself.
 */
import type { Tensor1D, Tensor2D, Tensor3D } from '@tensorflow/tfjs-core';
import type { DenseLayer, NetShape } from './net-shape.ts';

/** The part of the library that a graph needs; handed in, for it is imported only when an engine is opened. */
export type Tf = typeof import('@tensorflow/tfjs-core');

/** One layer's weights. */
export interface LayerTensors {
  /** [inputs, units] */
  readonly kernel: Tensor2D;
  /** [units] */
  readonly bias: Tensor1D;
}

/** A batch; a part that the net does not read is absent. */
export interface InputTensors {
  /** [rows] */
  readonly wide?: Tensor1D;
  /** [rows, embeddingFloats] */
  readonly embeddings?: Tensor2D;
  /** [rows, denseFields] */
  readonly dense?: Tensor2D;
}

/** What forward leaves for backward. */
export interface Trace {
  /** [rows] */
  readonly logits: Tensor1D;
  /** Inputs of each layer, then the output of the last. */
  readonly values: readonly Tensor2D[];
  /** [rows, dim]: Σ_s e[s, d]; present when the net has a factorisation machine. */
  readonly slotSums?: Tensor2D;
}

/** Sums over the batch, except `embeddings`, which has one row an example. */
export interface GradientTensors {
  readonly embeddings?: Tensor2D;
  readonly kernels: readonly Tensor2D[];
  readonly biases: readonly Tensor1D[];
}

export function forwardGraph(
  tf: Tf,
  shape: NetShape,
  layers: readonly LayerTensors[],
  input: InputTensors,
): Trace {
  const terms: Tensor1D[] = input.wide === undefined ? [] : [input.wide];
  let slotSums: Tensor2D | undefined;
  if (shape.hasFm && input.embeddings !== undefined) {
    const slots: Tensor3D = slotsOf(tf, shape, input.embeddings);
    slotSums = tf.sum(slots, 1) as Tensor2D;
    const difference = tf.sub(tf.sum(tf.square(slotSums), 1), tf.sum(tf.square(input.embeddings), 1));
    terms.push(tf.mul(difference, 0.5));
  }
  const values: Tensor2D[] = [];
  if (layers.length > 0) {
    values.push(layerInputs(tf, input));
    layers.forEach((layer, l) => {
      values.push(layerOutput(tf, shape.layers[l], layer, values[l]));
    });
    terms.push(tf.reshape(values[layers.length], [-1]));
  }
  const logits = terms.reduce((sum, term) => tf.add(sum, term));
  return slotSums === undefined ? { logits, values } : { logits, values, slotSums };
}

/** @param logitGradients [rows]: ∂loss_b/∂logit_b. */
export function backwardGraph(
  tf: Tf,
  shape: NetShape,
  layers: readonly LayerTensors[],
  input: InputTensors,
  trace: Trace,
  logitGradients: Tensor1D,
): GradientTensors {
  const kernels: Tensor2D[] = [];
  const biases: Tensor1D[] = [];
  const terms: Tensor2D[] = [];
  if (trace.slotSums !== undefined && input.embeddings !== undefined) {
    const slots: Tensor3D = slotsOf(tf, shape, input.embeddings);
    const others = tf.sub(tf.expandDims(trace.slotSums, 1), slots);
    terms.push(tf.mul(tf.reshape(others, input.embeddings.shape), tf.reshape(logitGradients, [-1, 1])));
  }
  if (layers.length > 0) {
    let delta: Tensor2D = tf.reshape(logitGradients, [-1, 1]);
    let deltaT: Tensor2D = tf.reshape(logitGradients, [1, -1]);
    for (let l = layers.length - 1; l >= 0; l--) {
      const inputsT = tf.transpose(trace.values[l]);
      kernels[l] = tf.matMul(inputsT, delta);
      biases[l] = tf.sum(delta, 0);
      if (l === 0) break;
      deltaT = timesSlope(tf, shape.layers[l - 1], throughKernel(tf, layers[l].kernel, deltaT), inputsT);
      delta = tf.transpose(deltaT);
    }
    if (shape.embeddingFloats > 0) {
      terms.push(tf.transpose(throughKernel(tf, embeddingRows(tf, shape, layers[0].kernel), deltaT)));
    }
  }
  const [first, second] = terms;
  if (first === undefined) return { kernels, biases };
  return { kernels, biases, embeddings: second === undefined ? first : tf.add(first, second) };
}

function layerInputs(tf: Tf, { embeddings, dense }: InputTensors): Tensor2D {
  if (embeddings === undefined) return dense as Tensor2D;
  return dense === undefined ? embeddings : tf.concat([embeddings, dense], 1);
}

function layerOutput(
  tf: Tf,
  { activation }: DenseLayer,
  { kernel, bias }: LayerTensors,
  x: Tensor2D,
): Tensor2D {
  // Bias and relu ride along inside the product; the WASM backend has no fused tanh, so all backends take it apart.
  const fused = activation === 'relu' ? 'relu' : 'linear';
  const z = tf.fused.matMul({ a: x, b: kernel, bias, activation: fused }) as Tensor2D;
  if (activation === 'tanh') return tf.tanh(z);
  return activation === 'sigmoid' ? tf.sigmoid(z) : z;
}

/** δ times the activation's slope, which each of them gives from its own output. */
function timesSlope(tf: Tf, { activation }: DenseLayer, delta: Tensor2D, output: Tensor2D): Tensor2D {
  switch (activation) {
    case 'linear':
      return delta;
    case 'relu':
      return tf.mul(delta, tf.step(output));
    case 'tanh':
      return tf.mul(delta, tf.sub(1, tf.square(output)));
    case 'sigmoid':
      return tf.mul(delta, tf.sub(output, tf.square(output)));
  }
}

/**
 * K·δᵀ, [inputs, rows]. For one unit it is an outer product, taken element by element: that is faster, and the δ of the last
 * layer stands on the right of two products in two shapes of one memory, which the WASM backend, whose cache of packed
 * operands goes by memory alone, would take for one.
 */
function throughKernel(tf: Tf, kernel: Tensor2D, deltaT: Tensor2D): Tensor2D {
  return kernel.shape[1] === 1 ? tf.mul(kernel, deltaT) : tf.matMul(kernel, deltaT);
}

/** Gradients go on from the first layer to the embeddings alone: dense fields have nothing to learn. */
function embeddingRows(tf: Tf, { embeddingFloats, denseFields }: NetShape, kernel: Tensor2D): Tensor2D {
  return denseFields === 0 ? kernel : tf.slice(kernel, [0, 0], [embeddingFloats, kernel.shape[1]]);
}

/** [rows, slots, dim] of the same memory. */
function slotsOf(tf: Tf, { slots }: NetShape, embeddings: Tensor2D): Tensor3D {
  return tf.reshape(embeddings, [embeddings.shape[0], slots.length, slots[0].dim]);
}
