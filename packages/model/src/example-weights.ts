/**
 * How much each example of a batch counts in the loss, and by how much its logit is offset there; where it says so
 * (protocol/weighting.ts) by a factor of the model's own prediction, which is a constant to the gradient.
 */
import type { Weighting } from '@millrace/protocol';

/** What a step needs to know of an example beside its features. */
export interface ExampleWeight {
  /** Parts of the loss shown · ln(1 + e^z) − clicked · z. */
  readonly shown: number;
  readonly clicked: number;
  /** Added to the logit in the loss: z = logit + offset. Default 0. */
  readonly offset?: number;
  /** Default none. */
  readonly weighting?: Weighting;
}

/** Of the examples in a batch, in order. Arrays are the object's, may be longer than the batch, and change with `add`. */
export interface ExampleWeights {
  readonly shown: Float32Array;
  readonly clicked: Float32Array;
  readonly offsets: Float32Array;
  /** True when some offset is not 0. */
  readonly hasOffsets: boolean;
  /** True when some example is to be weighed by its prediction. */
  readonly isWeighed: boolean;
  clear(): void;
  add(weight: ExampleWeight): void;
  /** @param logits float32[examples], the model's own, without offsets. */
  weighByPrediction(logits: Float32Array): void;
}

export function createExampleWeights(): ExampleWeights {
  return new Weights();
}

class Weights implements ExampleWeights {
  shown: Float32Array = new Float32Array(0);
  clicked: Float32Array = new Float32Array(0);
  offsets: Float32Array = new Float32Array(0);
  hasOffsets = false;
  isWeighed = false;
  readonly #weightings: Weighting[] = [];

  clear(): void {
    this.#weightings.length = 0;
    this.hasOffsets = false;
    this.isWeighed = false;
  }

  add({ shown, clicked, offset = 0, weighting = 'none' }: ExampleWeight): void {
    const place = this.#weightings.length;
    if (place === this.shown.length) {
      this.shown = larger(this.shown);
      this.clicked = larger(this.clicked);
      this.offsets = larger(this.offsets);
    }
    this.shown[place] = shown;
    this.clicked[place] = clicked;
    this.offsets[place] = offset;
    this.#weightings.push(weighting);
    if (offset !== 0) this.hasOffsets = true;
    if (weighting !== 'none') this.isWeighed = true;
  }

  weighByPrediction(logits: Float32Array): void {
    for (let i = 0; i < this.#weightings.length; i += 1) {
      const factor = factorOf(this.#weightings[i], 1 / (1 + Math.exp(-logits[i])));
      this.shown[i] *= factor;
      this.clicked[i] *= factor;
    }
  }
}

function factorOf(weighting: Weighting, p: number): number {
  switch (weighting) {
    case 'none':
      return 1;
    case 'fake-negative':
      return 1 - p * p;
    case 'late-positive':
      return 1 + p;
  }
}

function larger(array: Float32Array): Float32Array {
  const copy = new Float32Array(Math.max(64, 2 * array.length));
  copy.set(array);
  return copy;
}
