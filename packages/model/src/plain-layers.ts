/**
 * Fully connected layers for one example, in plain loops. Sums run in float64, over the kernel row by row, so that the inner
 * loop walks memory in order; inputs that are 0 (half of them after a relu) are skipped.
 */
import type { DenseLayer } from './net-shape.ts';

/**
 * Activations of one example through all layers.
 *   z[u] = bias[u] + Σ_i x[i] · kernel[i, u];   a = activation(z)
 * @param places  start of each layer's inputs in `values`; the last entry is the start of the last layer's output.
 * @param values  float64: the inputs of the first layer, then the outputs of each layer; all but the inputs are overwritten.
 */
export function forwardLayers(
  layers: readonly DenseLayer[],
  parameters: Float32Array,
  places: readonly number[],
  values: Float64Array,
): void {
  for (let l = 0; l < layers.length; l++) {
    const { inputs, units, activation, kernelOffset } = layers[l];
    const from = places[l];
    const to = places[l + 1];
    const biasOffset = kernelOffset + inputs * units;
    for (let u = 0; u < units; u++) values[to + u] = parameters[biasOffset + u];
    for (let i = 0; i < inputs; i++) {
      const x = values[from + i];
      if (x === 0) continue;
      const row = kernelOffset + i * units;
      for (let u = 0; u < units; u++) values[to + u] += x * parameters[row + u];
    }
    if (activation !== 'linear') activate(activation, values, to, units);
  }
}

/**
 * Adds one example's parameter gradients and finds the gradient of its inputs.
 *   δ = ∂loss/∂z;   kernel[i, u] += x[i] · δ[u];   bias[u] += δ[u];   ∂loss/∂x[i] = Σ_u kernel[i, u] · δ[u]
 * @param deltas float64, laid out as `values`: its last entry is ∂loss/∂logit; the rest is overwritten, and
 *               the part at places[0] ends as the gradient of the first layer's inputs.
 * @param sums   float64[parameters], added to.
 */
export function backwardLayers(
  layers: readonly DenseLayer[],
  parameters: Float32Array,
  places: readonly number[],
  values: Float64Array,
  deltas: Float64Array,
  sums: Float64Array,
): void {
  for (let l = layers.length - 1; l >= 0; l--) {
    const { inputs, units, activation, kernelOffset } = layers[l];
    const from = places[l];
    const to = places[l + 1];
    if (activation !== 'linear') timesSlope(activation, values, deltas, to, units);
    const biasOffset = kernelOffset + inputs * units;
    for (let u = 0; u < units; u++) sums[biasOffset + u] += deltas[to + u];
    for (let i = 0; i < inputs; i++) {
      const x = values[from + i];
      const row = kernelOffset + i * units;
      let delta = 0;
      for (let u = 0; u < units; u++) {
        sums[row + u] += x * deltas[to + u];
        delta += parameters[row + u] * deltas[to + u];
      }
      deltas[from + i] = delta;
    }
  }
}

function activate(
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
