/**
 * How much each example of a batch counts, and by how much its logit is offset in the loss: what the joiner says of it, and
 * where it says so (joiner/example.ts) a factor by the model's own prediction, which is a constant to the gradient.
 */
import type { Example, Weighting } from '@millrace/joiner';
import { atLeast } from '@millrace/model';

/** Of the examples in a batch, in order. Arrays may be longer than the batch. */
export interface ExampleWeights {
  shown: Float32Array;
  clicked: Float32Array;
  /** Added to the logit in the loss. */
  offsets: Float32Array;
  weightings: Weighting[];
  /** True when some offset is not 0. */
  hasOffsets: boolean;
  /** True when some example is weighed by its prediction. */
  isWeighed: boolean;
}

export function createExampleWeights(): ExampleWeights {
  return {
    shown: new Float32Array(0),
    clicked: new Float32Array(0),
    offsets: new Float32Array(0),
    weightings: [],
    hasOffsets: false,
    isWeighed: false,
  };
}

/** Makes room for `rows` examples and forgets those that were there. */
export function resetWeights(weights: ExampleWeights, rows: number): void {
  weights.shown = atLeast(weights.shown, rows);
  weights.clicked = atLeast(weights.clicked, rows);
  weights.offsets = atLeast(weights.offsets, rows);
  weights.weightings.length = 0;
  weights.hasOffsets = false;
  weights.isWeighed = false;
}

export function setWeight(weights: ExampleWeights, row: number, example: Example): void {
  weights.shown[row] = example.shown;
  weights.clicked[row] = example.clicked;
  weights.offsets[row] = example.offset;
  weights.weightings[row] = example.weighting;
  if (example.offset !== 0) weights.hasOffsets = true;
  if (example.weighting !== 'none') weights.isWeighed = true;
}

/** @param logits float32[rows], the model's own, without offsets. */
export function weighByPrediction(weights: ExampleWeights, logits: Float32Array): void {
  const { shown, clicked, weightings } = weights;
  for (let row = 0; row < weightings.length; row += 1) {
    const factor = factorOf(weightings[row], 1 / (1 + Math.exp(-logits[row])));
    shown[row] *= factor;
    clicked[row] *= factor;
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
