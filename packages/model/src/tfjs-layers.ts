/**
 * Fully connected layers in TensorFlow.js.
 *
 *   forward     xₗ₊₁ = activation(xₗ·Kₗ + bₗ)
 *   backward    ∂Kₗ = xₗᵀ·δₗ;  ∂bₗ = Σ_b δₗ;  δₗ₋₁ᵀ = (Kₗ·δₗᵀ) ∘ slope(xₗᵀ);  ∂x₀ᵀ = K₀·δ₀ᵀ
 */
import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import type { DenseLayer } from './net-shape.ts';
import { matrixFrom, type ParameterGradient, type Tf, vectorFrom } from './tfjs-part.ts';

/** ∂loss/∂ something with examples as rows and as columns. */
export interface Delta {
  readonly rows: Tensor2D;
  readonly columns: Tensor2D;
}

export interface ChainTrace {
  /** [rows, units] of the last layer; the inputs when there is none. */
  readonly output: Tensor2D;
  /**
   * @param delta ∂loss/∂output.
   * @param inputsWanted gradients go on to so many of the inputs, the first ones.
   */
  backward(
    delta: Delta,
    inputsWanted: number,
  ): { readonly inputsT: Tensor2D | null; readonly parameters: readonly ParameterGradient[] };
}

export interface TfChain {
  readonly weights: readonly Tensor[];
  forward(x: Tensor2D): ChainTrace;
  /** Runs layers `first` and those behind it, without a way back. */
  outputFrom(first: number, x: Tensor2D): Tensor2D;
}

interface LayerTensors {
  readonly shape: DenseLayer;
  /** [inputs, units] */
  readonly kernel: Tensor2D;
  /** [units] */
  readonly bias: Tensor1D;
}

export function loadChain(tf: Tf, layers: readonly DenseLayer[], parameters: Float32Array): TfChain {
  const loaded = layers.map((shape): LayerTensors => {
    const { inputs, units, kernelOffset } = shape;
    return {
      shape,
      kernel: matrixFrom(tf, parameters, kernelOffset, [inputs, units]),
      bias: vectorFrom(tf, parameters, kernelOffset + inputs * units, units),
    };
  });
  return {
    weights: loaded.flatMap(({ kernel, bias }) => [kernel, bias]),
    forward(x) {
      const values = [x];
      loaded.forEach((layer, l) => {
        values.push(layerOutput(tf, layer, values[l]));
      });
      const output = values[loaded.length];
      return { output, backward: (delta, wanted) => chainBackward(tf, loaded, values, delta, wanted) };
    },
    outputFrom: (first, x) => loaded.slice(first).reduce((value, layer) => layerOutput(tf, layer, value), x),
  };
}

function chainBackward(
  tf: Tf,
  layers: readonly LayerTensors[],
  values: readonly Tensor2D[],
  { rows, columns }: Delta,
  inputsWanted: number,
): ReturnType<ChainTrace['backward']> {
  const parameters: ParameterGradient[] = [];
  let delta = rows;
  let deltaT = columns;
  const last = layers.at(-1);
  if (last === undefined) return { inputsT: deltaT, parameters };
  if (last.shape.activation !== 'linear') {
    deltaT = timesSlope(tf, last.shape, deltaT, tf.transpose(values[layers.length]));
    delta = tf.transpose(deltaT);
  }
  for (let l = layers.length - 1; l >= 0; l--) {
    const { inputs, units, kernelOffset } = layers[l].shape;
    const inputsT = tf.transpose(values[l]);
    parameters.push({ offset: kernelOffset, values: tf.matMul(inputsT, delta) });
    parameters.push({ offset: kernelOffset + inputs * units, values: tf.sum(delta, 0) });
    if (l === 0) break;
    deltaT = timesSlope(tf, layers[l - 1].shape, throughKernel(tf, layers[l].kernel, deltaT), inputsT);
    delta = tf.transpose(deltaT);
  }
  const { kernel } = layers[0];
  const inputsT = inputsWanted === 0 ? null : throughKernel(tf, firstRows(tf, kernel, inputsWanted), deltaT);
  return { inputsT, parameters };
}

/** @param z before the activation. */
export function activate(tf: Tf, { activation }: DenseLayer, z: Tensor2D): Tensor2D {
  if (activation === 'relu') return tf.relu(z);
  if (activation === 'tanh') return tf.tanh(z);
  return activation === 'sigmoid' ? tf.sigmoid(z) : z;
}

function layerOutput(tf: Tf, { shape, kernel, bias }: LayerTensors, x: Tensor2D): Tensor2D {
  // Bias and relu ride along inside the product; the WASM backend has no fused tanh, so all backends take it apart.
  const fused = shape.activation === 'relu' ? 'relu' : 'linear';
  const z = tf.fused.matMul({ a: x, b: kernel, bias, activation: fused }) as Tensor2D;
  return fused === 'relu' ? z : activate(tf, shape, z);
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
 * K·δᵀ, [inputs, rows]. For one unit it is an outer product, taken element by element: that is faster, and the δ of a linear
 * unit stands on the right of two products in two shapes of one memory, which the WASM backend, whose cache of packed operands
 * goes by memory alone, would take for one.
 */
function throughKernel(tf: Tf, kernel: Tensor2D, deltaT: Tensor2D): Tensor2D {
  return kernel.shape[1] === 1 ? tf.mul(kernel, deltaT) : tf.matMul(kernel, deltaT);
}

function firstRows(tf: Tf, kernel: Tensor2D, rows: number): Tensor2D {
  return rows === kernel.shape[0] ? kernel : tf.slice(kernel, [0, 0], [rows, kernel.shape[1]]);
}
