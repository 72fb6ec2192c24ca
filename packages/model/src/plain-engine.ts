/**
 * The engine without TensorFlow.js: loops over typed arrays, one example at a time, sums in float64. It is the oracle that
 * the others are held to, and the fastest one for nets without layers, where a tensor library spends its time on calls.
 */
import type { Engine, Gradients, LoadedWeights, NetInput, Program } from './engine.ts';
import { sigmoid } from './logloss.ts';
import type { NetPart, NetShape } from './net-shape.ts';
import { createPlainAttention, type PlainAttention } from './plain-attention.ts';
import { createPlainDeep } from './plain-deep.ts';
import { createPlainFm } from './plain-fm.ts';
import { createPlainFwfm } from './plain-fwfm.ts';
import type { PlainExample, PlainPart } from './plain-part.ts';
import { createPlainTowers } from './plain-towers.ts';
import { type SharedInputs, sharedInputsOf, spreadShared } from './shared-inputs.ts';

type Maker<S> = (shape: S, sides: NetShape['sides']) => PlainPart;

/** What makes each kind of part. */
const makers: { readonly [K in NetPart['kind']]: Maker<Extract<NetPart, { kind: K }>> } = {
  fm: createPlainFm,
  fwfm: createPlainFwfm,
  deep: createPlainDeep,
  towers: createPlainTowers,
};

function partFrom(part: NetPart, { sides }: NetShape): PlainPart {
  return (makers[part.kind] as Maker<NetPart>)(part, sides);
}

/** Always there: it needs nothing but JavaScript. */
export function createPlainEngine(): Engine {
  return { name: 'plain', compile: (shape) => new PlainProgram(shape), dispose() {} };
}

class PlainWeights implements LoadedWeights {
  parameters: Float32Array;

  constructor(parameters: Float32Array) {
    this.parameters = parameters;
  }

  dispose(): void {}
}

class PlainProgram implements Program {
  readonly #shape: NetShape;
  readonly #parts: readonly PlainPart[];
  readonly #attention: readonly PlainAttention[];
  readonly #example: PlainExample;
  readonly #parameterSums: Float64Array;
  readonly #inputs: SharedInputs;

  constructor(shape: NetShape) {
    this.#shape = shape;
    this.#parts = shape.parts.map((part) => partFrom(part, shape));
    this.#attention = shape.attention.map(createPlainAttention);
    this.#example = {
      x: new Float64Array(shape.slotFloats + shape.denseFields),
      slopes: new Float64Array(shape.slotFloats),
    };
    this.#parameterSums = new Float64Array(shape.parameters);
    this.#inputs = sharedInputsOf(shape);
  }

  load(weights: Float32Array): LoadedWeights {
    return new PlainWeights(weights.slice(0, this.#shape.parameters));
  }

  reload(loaded: LoadedWeights, weights: Float32Array): void {
    const own = loaded as PlainWeights;
    own.parameters.set(weights.subarray(0, this.#shape.parameters));
    // The same memory by another name: what parts keep of the weights before is theirs no more.
    own.parameters = own.parameters.subarray();
  }

  forward(loaded: LoadedWeights, input: NetInput, logits: Float32Array): undefined {
    const { parameters } = loaded as PlainWeights;
    const { requests } = input;
    for (let p = 0; p < this.#parts.length; p++)
      this.#parts[p].split?.use(parameters, requests !== undefined);
    // Attention looks for its target in the row.
    if (this.#attention.length > 0) spreadShared(input, this.#inputs.shared, this.#shape.embeddingFloats);
    let request = 0;
    for (let b = 0; b < input.rows; b++) {
      const begins = requests === undefined || (request < requests.count && requests.starts[request] === b);
      if (begins) request++;
      logits[b] = this.#score(parameters, input, b, begins);
    }
  }

  gradients(
    loaded: LoadedWeights,
    input: NetInput,
    shown: Float32Array,
    clicked: Float32Array,
    out: Gradients,
  ): undefined {
    const { parameters } = loaded as PlainWeights;
    const { offsets } = input;
    this.#parameterSums.fill(0);
    for (let b = 0; b < input.rows; b++) {
      const logit = this.#logit(parameters, input, b);
      const gradient = shown[b] * sigmoid(offsets ? logit + offsets[b] : logit) - clicked[b];
      out.logits[b] = logit;
      out.logitGradients[b] = gradient;
      this.#backward(parameters, input, b, gradient, out.embeddings);
    }
    out.parameters.set(this.#parameterSums);
  }

  dispose(): void {}

  /** The logit of an example by what its request's items share and what they do not. */
  #score(parameters: Float32Array, input: NetInput, b: number, begins: boolean): number {
    this.#read(parameters, input, b, begins);
    let logit = this.#shape.hasWide ? input.wide[b] : 0;
    for (let p = 0; p < this.#parts.length; p++) {
      const part = this.#parts[p];
      if (part.split === null) logit += part.forward(this.#example, parameters);
      else {
        if (begins) part.split.begin(this.#example);
        logit += part.split.item(this.#example);
      }
    }
    return logit;
  }

  /** Leaves what #backward wants of the example in the parts and in #example. */
  #logit(parameters: Float32Array, input: NetInput, b: number): number {
    this.#read(parameters, input, b, true);
    let logit = this.#shape.hasWide ? input.wide[b] : 0;
    for (let p = 0; p < this.#parts.length; p++) logit += this.#parts[p].forward(this.#example, parameters);
    return logit;
  }

  /**
   * Puts an example's inputs in #example, attended sequences pooled into their slots. What a request's items share is read with
   * the first of them, and stays.
   */
  #read(parameters: Float32Array, input: NetInput, b: number, begins: boolean): void {
    const { slotFloats, embeddingFloats, denseFields } = this.#shape;
    const { x } = this.#example;
    const at = b * embeddingFloats;
    if (begins) for (let i = 0; i < slotFloats; i++) x[i] = input.embeddings[at + i];
    else copyRuns(this.#inputs.own, input.embeddings, at, x);
    for (let i = 0; i < denseFields; i++) x[slotFloats + i] = input.dense[b * denseFields + i];
    for (let s = 0; s < this.#attention.length; s++) {
      this.#attention[s].forward(
        input.embeddings,
        at,
        lengthOf(input, this.#attention.length, b, s),
        x,
        parameters,
      );
    }
  }

  #backward(parameters: Float32Array, input: NetInput, b: number, gradient: number, out: Float32Array): void {
    const { slotFloats, embeddingFloats } = this.#shape;
    const { slopes } = this.#example;
    const at = b * embeddingFloats;
    slopes.fill(0);
    for (let p = 0; p < this.#parts.length; p++) {
      this.#parts[p].backward(this.#example, parameters, gradient, this.#parameterSums);
    }
    const { length: sequences } = this.#attention;
    for (let s = 0; s < sequences; s++) {
      const length = lengthOf(input, sequences, b, s);
      const sums = this.#parameterSums;
      this.#attention[s].backward(input.embeddings, at, length, slopes, parameters, sums, out);
    }
    for (let i = 0; i < slotFloats; i++) out[at + i] = slopes[i];
  }
}

function copyRuns(runs: Int32Array, from: Float32Array, at: number, to: Float64Array): void {
  for (let run = 0; run < runs.length; run += 2)
    for (let i = runs[run]; i < runs[run + 1]; i++) to[i] = from[at + i];
}

/** Positions that count of attended sequence s of example b. */
function lengthOf({ lengths }: NetInput, sequences: number, b: number, s: number): number {
  return lengths[b * sequences + s];
}
