/** The cross network in an ONNX graph; formulas in plain-cross.ts. */
import type { CrossNetShape } from './net-shape.ts';
import type { GraphWriter, Value } from './onnx-graph.ts';
import type { OnnxParameterGradient } from './onnx-part.ts';

export interface OnnxCross {
  /** [rows, inputs] */
  readonly output: Value;
  /** @param delta [rows, inputs]: ∂loss/∂output. @returns ∂loss/∂x₀, [rows, inputs]. */
  backward(delta: Value): { readonly x: Value; readonly parameters: readonly OnnxParameterGradient[] };
}

/** A product of a layer: what it reads, and its matrix. */
interface Product {
  readonly input: Value;
  readonly offset: number;
  readonly dims: readonly [number, number];
}

/** @param x0 [rows, inputs] */
export function crossOf(graph: GraphWriter, { inputs, rank, layers }: CrossNetShape, x0: Value): OnnxCross {
  let x = x0;
  const traces = layers.map(({ offset, biasOffset }) => {
    const bias = graph.weight(biasOffset, [inputs]);
    const products: Product[] = [];
    let input = x;
    if (rank > 0) {
      products.push({ input, offset, dims: [inputs, rank] });
      input = graph.product(input, graph.weight(offset, [inputs, rank]));
    }
    const last = rank > 0 ? offset + inputs * rank : offset;
    const dims = [rank > 0 ? rank : inputs, inputs] as const;
    products.push({ input, offset: last, dims });
    const u = graph.product(input, graph.weight(last, dims), bias);
    x = graph.add(graph.mul(x0, u), x);
    return { products, u, biasOffset };
  });
  return {
    output: x,
    backward(outputDelta) {
      const parameters: OnnxParameterGradient[] = [];
      let delta = outputDelta;
      let start: Value | null = null;
      for (const { products, u, biasOffset } of traces.toReversed()) {
        const throughU = graph.mul(delta, u);
        start = start === null ? throughU : graph.add(start, throughU);
        let back = graph.mul(delta, x0);
        parameters.push({ offset: biasOffset, dims: [inputs], value: graph.sum(back, [0]) });
        for (const { input, offset, dims } of products.toReversed()) {
          parameters.push({ offset, dims, value: graph.transposedProduct(input, back) });
          back = graph.productTransposed(back, graph.weight(offset, dims));
        }
        delta = graph.add(delta, back);
      }
      return { x: start === null ? delta : graph.add(delta, start), parameters };
    },
  };
}
