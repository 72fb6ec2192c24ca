/**
 * The cross network (DCN-V2, Wang et al., WWW 2021) for one example:
 *   u = x·W + b,  or (x·U)·V + b with a rank;   x' = x₀ ∘ u + x
 *   δu = δ' ∘ x₀;   δx₀ += δ' ∘ u;   δx = δ' + W·δu
 *
 * Room of one layer in `values` and `deltas`: [x: inputs | x·U: rank | u: inputs]; the output of the last follows all.
 */
import type { CrossNetShape } from './net-shape.ts';
import { addProduct, productBack } from './plain-matrix.ts';

export interface PlainCross {
  /** float64: x₀ first, to be filled before forward. */
  readonly values: Float64Array;
  /** float64, laid out alike: ∂loss/∂output at outputPlace before backward, ∂loss/∂x₀ at its start after it. */
  readonly deltas: Float64Array;
  readonly outputPlace: number;
  forward(parameters: Float32Array): void;
  backward(parameters: Float32Array, sums: Float64Array): void;
}

export function createPlainCross({ inputs, rank, layers }: CrossNetShape): PlainCross {
  const stride = 2 * inputs + rank;
  const outputPlace = stride * layers.length;
  const values = new Float64Array(outputPlace + inputs);
  const deltas = new Float64Array(outputPlace + inputs);
  const startDeltas = new Float64Array(inputs);

  /** The products of a layer: x → u, or x → x·U → u. */
  const productsOf = (offset: number, at: number) => {
    const u = at + inputs + rank;
    if (rank === 0) return [{ matrix: { offset, inputs, units: inputs }, from: at, to: u }];
    return [
      { matrix: { offset, inputs, units: rank }, from: at, to: at + inputs },
      { matrix: { offset: offset + inputs * rank, inputs: rank, units: inputs }, from: at + inputs, to: u },
    ];
  };
  const steps = layers.map(({ offset, biasOffset }, l) => ({
    at: l * stride,
    u: l * stride + inputs + rank,
    next: (l + 1) * stride,
    biasOffset,
    products: productsOf(offset, l * stride),
  }));

  return {
    values,
    deltas,
    outputPlace,
    forward(parameters) {
      for (const { at, u, next, biasOffset, products } of steps) {
        values.fill(0, at + inputs, u);
        for (let i = 0; i < inputs; i++) values[u + i] = parameters[biasOffset + i];
        for (const { matrix, from, to } of products) addProduct(matrix, parameters, values, from, to);
        for (let i = 0; i < inputs; i++) values[next + i] = values[i] * values[u + i] + values[at + i];
      }
    },
    backward(parameters, sums) {
      startDeltas.fill(0);
      for (let l = steps.length - 1; l >= 0; l--) {
        const { at, u, next, biasOffset, products } = steps[l];
        for (let i = 0; i < inputs; i++) {
          const delta = deltas[next + i];
          startDeltas[i] += delta * values[u + i];
          deltas[u + i] = delta * values[i];
          sums[biasOffset + i] += deltas[u + i];
        }
        for (let p = products.length - 1; p >= 0; p--) {
          const { matrix, from, to } = products[p];
          productBack(matrix, parameters, values, deltas, from, to, sums);
        }
        for (let i = 0; i < inputs; i++) deltas[at + i] += deltas[next + i];
      }
      for (let i = 0; i < inputs; i++) deltas[i] += startDeltas[i];
    },
  };
}
