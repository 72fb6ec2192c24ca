/**
 * Fully connected layers in an ONNX graph; formulas in tfjs-layers.ts. A product with its bias and relu is one fused kernel of
 * ONNX Runtime's.
 */
import type { DenseLayer } from './net-shape.ts';
import type { GraphWriter, Value } from './onnx-graph.ts';
import type { OnnxParameterGradient } from './onnx-part.ts';

export interface OnnxChain {
  /** [rows, units] of the last layer; the inputs when there is none. */
  readonly output: Value;
  /** @param delta [rows, units]: ∂loss/∂output. @returns ∂loss/∂inputs, [rows, inputs]. */
  backward(delta: Value): { readonly inputs: Value; readonly parameters: readonly OnnxParameterGradient[] };
}

const activationTypes = { relu: 'Relu', tanh: 'Tanh', sigmoid: 'Sigmoid' } as const;

/** @param x [rows, inputs of the first layer] */
export function chainOf(graph: GraphWriter, layers: readonly DenseLayer[], x: Value): OnnxChain {
  const values = [x];
  for (const layer of layers) {
    const { inputs, units, kernelOffset } = layer;
    const kernel = graph.weight(kernelOffset, [inputs, units]);
    const bias = graph.weight(kernelOffset + inputs * units, [units]);
    const z = graph.product(values[values.length - 1], kernel, bias);
    values.push(activationOf(graph, layer, z));
  }
  return {
    output: values[layers.length],
    backward(outputDelta) {
      const parameters: OnnxParameterGradient[] = [];
      let delta = outputDelta;
      for (let l = layers.length - 1; l >= 0; l--) {
        const { inputs, units, kernelOffset } = layers[l];
        delta = timesSlope(graph, layers[l], delta, values[l + 1]);
        const kernelGradient = graph.transposedProduct(values[l], delta);
        parameters.push({ offset: kernelOffset, dims: [inputs, units], value: kernelGradient });
        parameters.push({
          offset: kernelOffset + inputs * units,
          dims: [units],
          value: graph.sum(delta, [0]),
        });
        delta = graph.productTransposed(delta, graph.weight(kernelOffset, [inputs, units]));
      }
      return { inputs: delta, parameters };
    },
  };
}

export function activationOf(graph: GraphWriter, { activation }: DenseLayer, z: Value): Value {
  return activation === 'linear' ? z : graph.op(activationTypes[activation], [z]);
}

/** δ times the activation's slope, which each of them gives from its own output. */
function timesSlope(graph: GraphWriter, { activation }: DenseLayer, delta: Value, output: Value): Value {
  switch (activation) {
    case 'linear':
      return delta;
    case 'relu':
      return graph.mul(delta, graph.op('Sign', [output]));
    case 'tanh':
      return graph.mul(delta, graph.sub(graph.scalar(1), graph.mul(output, output)));
    case 'sigmoid':
      return graph.mul(delta, graph.sub(output, graph.mul(output, output)));
  }
}
