/** The cross network in TensorFlow.js; formulas in plain-cross.ts. */
import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import type { CrossNetShape } from './net-shape.ts';
import { matrixFrom, type ParameterGradient, type Tf, vectorFrom } from './tfjs-part.ts';

export interface TfCross {
  readonly weights: readonly Tensor[];
  forward(x: Tensor2D): CrossTrace;
}

export interface CrossTrace {
  /** [rows, inputs] */
  readonly output: Tensor2D;
  /** @param delta [rows, inputs]: ∂loss/∂output. @returns ∂loss/∂x₀, [rows, inputs]. */
  backward(delta: Tensor2D): { readonly x: Tensor2D; readonly parameters: readonly ParameterGradient[] };
}

/** A matrix of parameters, and where it stands. */
interface Placed {
  readonly offset: number;
  readonly matrix: Tensor2D;
}

interface CrossTensors {
  /** W, or U and V. */
  readonly products: readonly Placed[];
  readonly bias: Tensor1D;
  readonly biasOffset: number;
}

export function loadCross(tf: Tf, shape: CrossNetShape, parameters: Float32Array): TfCross {
  const { inputs, rank } = shape;
  const placed = (offset: number, size: readonly [number, number]): Placed => ({
    offset,
    matrix: matrixFrom(tf, parameters, offset, size),
  });
  const layers = shape.layers.map(({ offset, biasOffset }): CrossTensors => {
    const products =
      rank === 0
        ? [placed(offset, [inputs, inputs])]
        : [placed(offset, [inputs, rank]), placed(offset + inputs * rank, [rank, inputs])];
    return { products, bias: vectorFrom(tf, parameters, biasOffset, inputs), biasOffset };
  });
  return {
    weights: layers.flatMap(({ products, bias }) => [...products.map(({ matrix }) => matrix), bias]),
    forward(x0) {
      let x = x0;
      const traces = layers.map((layer) => {
        const trace = layerForward(tf, layer, x);
        x = tf.add(tf.mul(x0, trace.u), x);
        return trace;
      });
      return { output: x, backward: (delta) => crossBackward(tf, layers, traces, x0, delta) };
    },
  };
}

interface LayerTrace {
  /** What each product reads. */
  readonly inputs: readonly Tensor2D[];
  readonly u: Tensor2D;
}

function layerForward(tf: Tf, { products, bias }: CrossTensors, x: Tensor2D): LayerTrace {
  const inputs = [x];
  for (const { matrix } of products.slice(0, -1)) inputs.push(tf.matMul(inputs[inputs.length - 1], matrix));
  const a = inputs[inputs.length - 1];
  const u = tf.fused.matMul({ a, b: products[products.length - 1].matrix, bias }) as Tensor2D;
  return { inputs, u };
}

function crossBackward(
  tf: Tf,
  layers: readonly CrossTensors[],
  traces: readonly LayerTrace[],
  x0: Tensor2D,
  outputDelta: Tensor2D,
): ReturnType<CrossTrace['backward']> {
  const parameters: ParameterGradient[] = [];
  let delta = outputDelta;
  let start: Tensor2D | null = null;
  for (let l = layers.length - 1; l >= 0; l--) {
    const { products, biasOffset } = layers[l];
    const { inputs, u } = traces[l];
    const throughU = tf.mul(delta, u) as Tensor2D;
    start = start === null ? throughU : tf.add(start, throughU);
    let rows: Tensor2D = tf.mul(delta, x0);
    let columns: Tensor2D = tf.transpose(rows);
    parameters.push({ offset: biasOffset, values: tf.sum(rows, 0) });
    for (let p = products.length - 1; p >= 0; p--) {
      const { offset, matrix } = products[p];
      parameters.push({ offset, values: tf.matMul(tf.transpose(inputs[p]), rows) });
      columns = tf.matMul(matrix, columns);
      rows = tf.transpose(columns);
    }
    delta = tf.add(delta, rows);
  }
  return { x: start === null ? delta : tf.add(delta, start), parameters };
}
