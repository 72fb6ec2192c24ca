/**
 * One gradient step over a batch, from features to what each key and the dense weights have to learn. It knows nothing of
 * where rows come from and where gradients go: the updater pulls rows from shards and logs what comes of them, a learner in one
 * process reads and steps its own tables. Both get the same bits from the same examples and rows.
 *
 *   begin → add, example by example → (the caller puts rows where tablesToPull(space) says) → run → sums, parameters
 */
import { type Features, gradientMagnitudeMax } from '@millrace/protocol';
import { atLeast, type BatchSpace, createBatchSpace, gatherSpace, resetSpace } from './batch-space.ts';
import type { DenseVersion } from './dense-versions.ts';
import type { Gradients, LoadedWeights, NetInput } from './engine.ts';
import { createExampleWeights, type ExampleWeight, type ExampleWeights } from './example-weights.ts';
import { createFeatureEncoder, type FeatureEncoder } from './feature-encoder.ts';
import { type ExampleGradients, type KeyGradients, scatter } from './gather.ts';
import { logloss } from './logloss.ts';
import { batchMoments } from './moments.ts';
import type { OpenNet } from './open-net.ts';

/** Features of one example and its parts of the loss. */
export interface StepExample extends ExampleWeight {
  readonly user: Features;
  readonly context: Features;
  readonly item: Features;
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
   * Forward and backward over the batch, of at least one example, at the rows in `space` and this dense version.
   * @returns undefined when it is done, which an engine that need not wait makes true at once.
   */
  run(version: Pick<DenseVersion, 'loaded' | 'scales'>): Promise<void> | undefined;
  /** float32[examples or more]: logits at the rows and weights used, before anything is learned. */
  readonly logits: Float32Array;
  /** By table the summed gradients of the batch's keys, cut to ±gradientMagnitudeMax. */
  readonly sums: readonly KeyGradients[];
  /** float32[denseParameters]: summed gradients of the dense weights, then the batch's moments. */
  readonly parameters: Float32Array;
  /** Summed loss of the batch, natural log. */
  lossSum(): number;
  norms(): GradientNorms;
}

/** Euclidean norms of the gradients of a batch; NaN for what the net has not. */
export interface GradientNorms {
  /** Of ∂loss/∂logit, over the examples. */
  readonly logits: number;
  /** Of ∂loss/∂embedding, over examples and slots. */
  readonly embeddings: number;
  /** Of the summed gradients of the dense weights. */
  readonly dense: number;
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
  readonly #weights: ExampleWeights = createExampleWeights();
  /** Of the net, example by example. */
  readonly #out: { -readonly [Name in keyof (Gradients & ExampleGradients)]: Float32Array };

  constructor(net: Pick<OpenNet, 'plan' | 'shape' | 'program'>) {
    this.#net = net;
    this.space = createBatchSpace(net.plan);
    this.#encoder = createFeatureEncoder(net.plan);
    this.parameters = new Float32Array(net.shape.denseParameters);
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
    this.#weights.clear();
  }

  add(example: StepExample, place: number): void {
    this.#encoder.beginRequest(example.user, example.context);
    this.#encoder.addItem(this.space.batch, example.item, place);
    this.#weights.add(example);
  }

  run({ loaded, scales }: Pick<DenseVersion, 'loaded' | 'scales'>): Promise<void> | undefined {
    const { plan, shape } = this.#net;
    const out = this.#out;
    const { batch } = this.space;
    const n = batch.rows;
    out.logits = atLeast(out.logits, n);
    out.logitGradients = atLeast(out.logitGradients, n);
    out.embeddings = atLeast(out.embeddings, n * plan.embeddingFloats);
    out.curvature = atLeast(out.curvature, n);
    this.logits = out.logits;
    const { shown, offsets, hasOffsets, isWeighed } = this.#weights;
    if (plan.moments.length > 0) batchMoments(plan, batch, shown, this.parameters, shape.parameters);
    const gathered = gatherSpace(this.space, scales);
    const input = hasOffsets ? { ...gathered, offsets } : gathered;
    // No function is made on the way that need not wait: it is the hot loop of a learner in one process.
    if (isWeighed) return this.#weighFirst(loaded, input);
    const learning = this.#learn(loaded, input);
    if (learning !== undefined) return learning.then(() => this.#sumByKey());
    this.#sumByKey();
    return undefined;
  }

  /** The same where examples are weighed by the prediction, which a forward pass gives before the step. */
  #weighFirst(loaded: LoadedWeights, input: NetInput): Promise<void> | undefined {
    const { logits } = this.#out;
    const weigh = () => this.#weights.weighByPrediction(logits);
    const learn = () => this.#learn(loaded, input);
    const sum = () => this.#sumByKey();
    const weighed = afterwards(this.#net.program.forward(loaded, input, logits), weigh);
    return weighed === undefined ? afterwards(learn(), sum) : weighed.then(learn).then(sum);
  }

  #learn(loaded: LoadedWeights, input: NetInput): Promise<void> | undefined {
    const { shown, clicked } = this.#weights;
    return this.#net.program.gradients(loaded, input, shown, clicked, this.#out);
  }

  lossSum(): number {
    const { shown, clicked, offsets } = this.#weights;
    let sum = 0;
    for (let i = 0; i < this.space.batch.rows; i += 1) {
      const z = this.logits[i] + offsets[i];
      sum += shown[i] * logloss(z, 0) - clicked[i] * z;
    }
    return sum;
  }

  norms(): GradientNorms {
    const { rows } = this.space.batch;
    const { logitGradients, embeddings, parameters } = this.#out;
    return {
      logits: normOf(logitGradients, rows),
      embeddings: normOf(embeddings, rows * this.#net.plan.embeddingFloats),
      dense: normOf(parameters, this.#net.shape.parameters),
    };
  }

  #sumByKey(): void {
    const { plan } = this.#net;
    const { batch } = this.space;
    const { logits, logitGradients, embeddings, curvature } = this.#out;
    const { shown, offsets } = this.#weights;
    for (let i = 0; i < batch.rows; i += 1) {
      const p = 1 / (1 + Math.exp(-logits[i] - offsets[i]));
      // A part that takes back some of an earlier one bends the loss no less.
      curvature[i] = Math.max(0, shown[i]) * p * (1 - p);
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

function normOf(values: Float32Array, count: number): number {
  let squares = 0;
  for (let i = 0; i < count; i += 1) squares += values[i] * values[i];
  return count === 0 ? Number.NaN : Math.sqrt(squares);
}

/** NaN stays what it is: whoever steps a row counts it as broken. */
function cut(values: Float32Array, floats: number): void {
  for (let i = 0; i < floats; i += 1) {
    if (values[i] > gradientMagnitudeMax) values[i] = gradientMagnitudeMax;
    else if (values[i] < -gradientMagnitudeMax) values[i] = -gradientMagnitudeMax;
  }
}

/** `next` once `running` is done; undefined where both are done at once. */
function afterwards(running: Promise<void> | undefined, next: () => void): Promise<void> | undefined {
  if (running !== undefined) return running.then(next);
  next();
  return undefined;
}
