/** Fully connected layers for one example, in plain loops; sums run in float64. */
import type { DenseLayer } from './net-shape.ts';
import { addProduct, productBack } from './plain-matrix.ts';

/** Room for one example on its way through some layers. */
export interface PlainChain {
  readonly layers: readonly DenseLayer[];
  /** Start of each layer's inputs in `values`; the last entry is the start of the last layer's output. */
  readonly places: readonly number[];
  /** float64: the inputs of the first layer, then the outputs of each layer. */
  readonly values: Float64Array;
  /** float64: ∂loss/∂ what stands in `values`. */
  readonly deltas: Float64Array;
}

/** @param width inputs of the first layer, which are also the output when there is no layer. */
export function createPlainChain(layers: readonly DenseLayer[], width: number): PlainChain {
  const places = [0];
  for (const { inputs } of layers) places.push(places[places.length - 1] + inputs);
  const floats = places[places.length - 1] + (layers.at(-1)?.units ?? width);
  return { layers, places, values: new Float64Array(floats), deltas: new Float64Array(floats) };
}

/** Where the chain's output starts in `values` and `deltas`. */
export function outputPlace({ places }: PlainChain): number {
  return places[places.length - 1];
}

/**
 * Activations of one example through all layers; the inputs stand in `values` already.
 *   z[u] = bias[u] + Σ_i x[i] · kernel[i, u];   a = activation(z)
 */
export function forwardLayers(chain: PlainChain, parameters: Float32Array): void {
  forwardFrom(chain, parameters, 0);
}

/** The same from layer `first` on, whose inputs stand in the chain's values. */
export function forwardFrom(
  { layers, places, values }: PlainChain,
  parameters: Float32Array,
  first: number,
): void {
  for (let l = first; l < layers.length; l++) {
    const { inputs, units, activation, kernelOffset } = layers[l];
    const to = places[l + 1];
    const biasOffset = kernelOffset + inputs * units;
    for (let u = 0; u < units; u++) values[to + u] = parameters[biasOffset + u];
    addProduct({ offset: kernelOffset, inputs, units }, parameters, values, places[l], to);
    if (activation !== 'linear') activate(activation, values, to, units);
  }
}

/**
 * Adds one example's parameter gradients and finds the gradient of its inputs. `deltas` has ∂loss/∂output at its end; the rest
 * is overwritten, and its beginning ends as the gradient of the first layer's inputs.
 *   δ = ∂loss/∂z;   kernel[i, u] += x[i] · δ[u];   bias[u] += δ[u];   ∂loss/∂x[i] = Σ_u kernel[i, u] · δ[u]
 * @param sums float64[parameters], added to.
 */
export function backwardLayers(chain: PlainChain, parameters: Float32Array, sums: Float64Array): void {
  const { layers, places, values, deltas } = chain;
  for (let l = layers.length - 1; l >= 0; l--) {
    const { inputs, units, activation, kernelOffset } = layers[l];
    const to = places[l + 1];
    if (activation !== 'linear') timesSlope(activation, values, deltas, to, units);
    const biasOffset = kernelOffset + inputs * units;
    for (let u = 0; u < units; u++) sums[biasOffset + u] += deltas[to + u];
    productBack({ offset: kernelOffset, inputs, units }, parameters, values, deltas, places[l], to, sums);
  }
}

/** Applies an activation to values[to … to + units), in place. */
export function activate(
  activation: DenseLayer['activation'],
  values: Float64Array,
  to: number,
  units: number,
): void {
  if (activation === 'relu') {
    // Written so that a NaN stays one: a broken weight must show, not vanish.
    for (let u = to; u < to + units; u++) if (values[u] < 0) values[u] = 0;
  } else if (activation === 'tanh') {
    for (let u = to; u < to + units; u++) values[u] = Math.tanh(values[u]);
  } else if (activation === 'sigmoid') {
    for (let u = to; u < to + units; u++) values[u] = 1 / (1 + Math.exp(-values[u]));
  }
}

/** Multiplies each delta by the activation's slope, which all of them give from their own output. */
function timesSlope(
  activation: DenseLayer['activation'],
  values: Float64Array,
  deltas: Float64Array,
  to: number,
  units: number,
): void {
  if (activation === 'relu') {
    for (let u = to; u < to + units; u++) if (values[u] <= 0) deltas[u] = 0;
  } else if (activation === 'tanh') {
    for (let u = to; u < to + units; u++) deltas[u] *= 1 - values[u] * values[u];
  } else if (activation === 'sigmoid') {
    for (let u = to; u < to + units; u++) deltas[u] *= values[u] * (1 - values[u]);
  }
}
