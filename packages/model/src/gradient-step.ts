/**
 * One gradient step over a batch, from features to what each key and the dense weights have to learn. It knows nothing of
 * where rows come from and where gradients go: the updater pulls rows from shards and logs what comes of them, a learner in one
 * process reads and steps its own tables. Both get the same bits from the same examples and rows.
 *
 *   begin → add, example by example → (the caller puts rows where tablesToPull(space) says) → run → sums, parameters
 */
import { type Features, gradientMagnitudeMax } from '@millrace/protocol';
import { atLeast, type BatchSpace, createBatchSpace, gatherSpace, resetSpace } from './batch-space.ts';
import type { Gradients, LoadedWeights } from './engine.ts';
import { createFeatureEncoder, type FeatureEncoder } from './feature-encoder.ts';
import { type ExampleGradients, type KeyGradients, scatter } from './gather.ts';
import { logloss } from './logloss.ts';
import type { OpenNet } from './open-net.ts';

/** Features of one example and its parts of the loss shown · ln(1 + e^z) − clicked · z. */
export interface StepExample {
  readonly user: Features;
  readonly context: Features;
  readonly item: Features;
  readonly shown: number;
  readonly clicked: number;
}

/** Arrays are the step's, valid until the next `begin`. */
export interface GradientStep {
  /** The batch, and where the rows of its keys go. */
  readonly space: BatchSpace;
  /** Empties the batch. */
  begin(): void;
  /**
   * Appends an example.
   * @param place  its item's place in a request, for messages.
   * @throws MILL_FEATURE_INVALID; the batch is as before then.
   */
  add(example: StepExample, place: number): void;
  /**
   * Forward and backward over the batch, of at least one example, at the rows in `space` and these dense weights.
   * @returns undefined when it is done, which an engine that need not wait makes true at once.
   */
  run(loaded: LoadedWeights): Promise<void> | undefined;
  /** float32[examples or more]: logits at the rows and weights used, before anything is learned. */
  readonly logits: Float32Array;
  /** By table the summed gradients of the batch's keys, cut to ±gradientMagnitudeMax. */
  readonly sums: readonly KeyGradients[];
  /** float32[parameters]: summed gradients of the dense weights. */
  readonly parameters: Float32Array;
  /** Summed loss of the batch, natural log. */
  lossSum(): number;
}

export function createGradientStep(net: Pick<OpenNet, 'plan' | 'shape' | 'program'>): GradientStep {
  return new Step(net);
}

class Step implements GradientStep {
  readonly space: BatchSpace;
  readonly sums: { gradients: Float32Array; curvature: Float32Array | null }[];
  logits: Float32Array = new Float32Array(0);
  readonly parameters: Float32Array;
  readonly #net: Pick<OpenNet, 'plan' | 'shape' | 'program'>;
  readonly #encoder: FeatureEncoder;
  #shown: Float32Array = new Float32Array(0);
  #clicked: Float32Array = new Float32Array(0);
  /** Of the net, example by example. */
  readonly #out: { -readonly [Name in keyof (Gradients & ExampleGradients)]: Float32Array };

  constructor(net: Pick<OpenNet, 'plan' | 'shape' | 'program'>) {
    this.#net = net;
    this.space = createBatchSpace(net.plan);
    this.#encoder = createFeatureEncoder(net.plan);
    this.parameters = new Float32Array(net.shape.parameters);
    this.sums = net.plan.tables.map(({ needsCurvature }) => ({
      gradients: new Float32Array(0),
      curvature: needsCurvature ? new Float32Array(0) : null,
    }));
    this.#out = {
      logits: this.logits,
      logitGradients: new Float32Array(0),
      embeddings: new Float32Array(0),
      curvature: new Float32Array(0),
      parameters: this.parameters,
    };
  }

  begin(): void {
    resetSpace(this.space);
  }

  add({ user, context, item, shown, clicked }: StepExample, place: number): void {
    const { batch } = this.space;
    this.#encoder.beginRequest(user, context);
    this.#encoder.addItem(batch, item, place);
    this.#shown = kept(this.#shown, batch.rows);
    this.#clicked = kept(this.#clicked, batch.rows);
    this.#shown[batch.rows - 1] = shown;
    this.#clicked[batch.rows - 1] = clicked;
  }

  run(loaded: LoadedWeights): Promise<void> | undefined {
    const { plan, program } = this.#net;
    const out = this.#out;
    const n = this.space.batch.rows;
    out.logits = atLeast(out.logits, n);
    out.logitGradients = atLeast(out.logitGradients, n);
    out.embeddings = atLeast(out.embeddings, n * plan.embeddingFloats);
    out.curvature = atLeast(out.curvature, n);
    this.logits = out.logits;
    const input = gatherSpace(this.space);
    const running = program.gradients(loaded, input, this.#shown, this.#clicked, out);
    if (running !== undefined) return running.then(() => this.#sumByKey());
    this.#sumByKey();
    return undefined;
  }

  lossSum(): number {
    let sum = 0;
    for (let i = 0; i < this.space.batch.rows; i += 1) {
      sum += this.#shown[i] * logloss(this.logits[i], 0) - this.#clicked[i] * this.logits[i];
    }
    return sum;
  }

  #sumByKey(): void {
    const { plan } = this.#net;
    const { batch } = this.space;
    const { logits, logitGradients, embeddings, curvature } = this.#out;
    for (let i = 0; i < batch.rows; i += 1) {
      const p = 1 / (1 + Math.exp(-logits[i]));
      curvature[i] = this.#shown[i] * p * (1 - p);
    }
    for (let t = 0; t < this.sums.length; t += 1) {
      const sums = this.sums[t];
      const floats = batch.tables[t].unique * plan.tables[t].dim;
      sums.gradients = atLeast(sums.gradients, floats);
      if (sums.curvature !== null) sums.curvature = atLeast(sums.curvature, floats);
    }
    scatter(plan, batch, { logits: logitGradients, embeddings, curvature }, this.sums);
    for (let t = 0; t < this.sums.length; t += 1) {
      const { gradients, curvature: curvatures } = this.sums[t];
      const floats = batch.tables[t].unique * plan.tables[t].dim;
      cut(gradients, floats);
      if (curvatures !== null) cut(curvatures, floats);
    }
  }
}

/** NaN stays what it is: whoever steps a row counts it as broken. */
function cut(values: Float32Array, floats: number): void {
  for (let i = 0; i < floats; i += 1) {
    if (values[i] > gradientMagnitudeMax) values[i] = gradientMagnitudeMax;
    else if (values[i] < -gradientMagnitudeMax) values[i] = -gradientMagnitudeMax;
  }
}

/** Like atLeast, but what is in the array stays. */
function kept(array: Float32Array, floats: number): Float32Array {
  if (array.length >= floats) return array;
  const larger = new Float32Array(Math.max(64, 2 * array.length));
  larger.set(array);
  return larger;
}
