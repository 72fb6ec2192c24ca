/**
 * The engine without TensorFlow.js: loops over typed arrays, one example at a time, sums in float64. It is the oracle that
 * the others are held to, and the fastest one for nets without layers, where a tensor library spends its time on calls.
 */
import type { Engine, Gradients, LoadedWeights, NetInput, Program } from './engine.ts';
import { sigmoid } from './logloss.ts';
import type { NetShape } from './net-shape.ts';
import { fmBackward, fmForward } from './plain-fm.ts';
import { backwardLayers, forwardLayers } from './plain-layers.ts';

/** Always there: it needs nothing but JavaScript. */
export function createPlainEngine(): Engine {
  return { name: 'plain', compile: (shape) => new PlainProgram(shape), dispose() {} };
}

class PlainWeights implements LoadedWeights {
  readonly parameters: Float32Array;

  constructor(parameters: Float32Array) {
    this.parameters = parameters;
  }

  dispose(): void {}
}

class PlainProgram implements Program {
  readonly #shape: NetShape;
  /** Where each layer's inputs start in #values and #deltas; the last entry is the output's. */
  readonly #places: readonly number[];
  readonly #values: Float64Array;
  readonly #deltas: Float64Array;
  readonly #parameterSums: Float64Array;
  readonly #fmSums: Float64Array;

  constructor(shape: NetShape) {
    this.#shape = shape;
    const places = [0];
    for (const { inputs } of shape.layers) places.push(places[places.length - 1] + inputs);
    this.#places = places;
    this.#values = new Float64Array(places[places.length - 1] + 1);
    this.#deltas = new Float64Array(this.#values.length);
    this.#parameterSums = new Float64Array(shape.parameters);
    this.#fmSums = new Float64Array(shape.hasFm ? shape.slots[0].dim : 0);
  }

  load(weights: Float32Array): LoadedWeights {
    return new PlainWeights(weights.slice(0, this.#shape.parameters));
  }

  forward(loaded: LoadedWeights, input: NetInput, logits: Float32Array): undefined {
    const { parameters } = loaded as PlainWeights;
    for (let b = 0; b < input.rows; b++) logits[b] = this.#logit(parameters, input, b);
  }

  gradients(
    loaded: LoadedWeights,
    input: NetInput,
    shown: Float32Array,
    clicked: Float32Array,
    out: Gradients,
  ): undefined {
    const { parameters } = loaded as PlainWeights;
    this.#parameterSums.fill(0);
    for (let b = 0; b < input.rows; b++) {
      const logit = this.#logit(parameters, input, b);
      const gradient = shown[b] * sigmoid(logit) - clicked[b];
      out.logits[b] = logit;
      out.logitGradients[b] = gradient;
      this.#backward(parameters, input, b, gradient, out.embeddings);
    }
    out.parameters.set(this.#parameterSums);
  }

  dispose(): void {}

  /** Leaves the example's activations in #values and its slot sums in #fmSums, where #backward finds them. */
  #logit(parameters: Float32Array, input: NetInput, b: number): number {
    const { hasWide, hasFm, layers, slots, embeddingFloats, denseFields } = this.#shape;
    const offset = b * embeddingFloats;
    let logit = hasWide ? input.wide[b] : 0;
    if (hasFm) logit += fmForward(input.embeddings, offset, embeddingFloats, slots[0].dim, this.#fmSums);
    if (layers.length === 0) return logit;
    for (let i = 0; i < embeddingFloats; i++) this.#values[i] = input.embeddings[offset + i];
    for (let i = 0; i < denseFields; i++) {
      this.#values[embeddingFloats + i] = input.dense[b * denseFields + i];
    }
    forwardLayers(layers, parameters, this.#places, this.#values);
    return logit + this.#values[this.#values.length - 1];
  }

  #backward(parameters: Float32Array, input: NetInput, b: number, gradient: number, out: Float32Array): void {
    const { hasFm, layers, slots, embeddingFloats } = this.#shape;
    const offset = b * embeddingFloats;
    if (layers.length > 0) {
      this.#deltas[this.#deltas.length - 1] = gradient;
      backwardLayers(layers, parameters, this.#places, this.#values, this.#deltas, this.#parameterSums);
      for (let i = 0; i < embeddingFloats; i++) out[offset + i] = this.#deltas[i];
    } else {
      out.fill(0, offset, offset + embeddingFloats);
    }
    if (hasFm)
      fmBackward(input.embeddings, offset, embeddingFloats, slots[0].dim, this.#fmSums, gradient, out);
  }
}
