/**
 * Between rows and the net. `gather` pools pulled rows into the net's inputs; `scatter` takes the net's gradients back to
 * the keys, summed over all their occurrences in the batch.
 *
 * What the items of a request share is gathered with the first of them, and stands in its row alone (shared-inputs.ts). Its wide
 * sum is one of its own, added last to each, so that an item comes to the same bits whether it is the first or not.
 */
import { invariant } from '@millrace/protocol';
import { copyWords, wordsOf } from './copy-words.ts';
import type { NetInput } from './engine.ts';
import type { FeaturePlan } from './feature-plan.ts';
import type { SparseBatch, TableBatch } from './sparse-batch.ts';

/** What `gather` goes by: of a FeaturePlan what another thread can be told. */
export interface GatherPlan {
  readonly embeddingFloats: number;
  readonly hasWide: boolean;
  readonly tables: readonly {
    readonly dim: number;
    readonly embeddingDim: number;
    readonly hasWide: boolean;
  }[];
}

/** What `gather` reads of a SparseBatch. */
export interface GatherBatch extends Pick<SparseBatch, 'rows' | 'starts' | 'requests'> {
  readonly tables: readonly Pick<
    TableBatch,
    'occurrences' | 'keyOf' | 'exampleOf' | 'slotOf' | 'xOf' | 'sharedOf'
  >[];
}

/**
 * Fills `input` for the batch. `input`'s arrays must hold batch.rows examples.
 * @param rows for each table float32[unique, dim]: the pulled rows in order of the batch's keys.
 */
export function gather(
  plan: GatherPlan,
  batch: GatherBatch,
  rows: readonly Float32Array[],
  input: Pick<NetInput, 'wide' | 'embeddings'>,
): void {
  const { wide, embeddings } = input;
  const { embeddingFloats: width } = plan;
  const shared = sharedSums(batch.rows);
  wide.fill(0, 0, batch.rows);
  embeddings.fill(0, 0, batch.rows * width);
  const embeddingWords = wordsOf(embeddings);
  for (let t = 0; t < batch.tables.length; t += 1) {
    const { occurrences, keyOf, exampleOf, slotOf, xOf, sharedOf } = batch.tables[t];
    const { dim, embeddingDim, hasWide } = plan.tables[t];
    const weights = rows[t];
    const words = wordsOf(weights);
    const takesWide = plan.hasWide && hasWide;
    const skip = hasWide ? 1 : 0;
    // Occurrences that go to one slot follow each other: the first of them finds it empty.
    let last = -1;
    for (let i = 0; i < occurrences; i += 1) {
      const row = keyOf[i] * dim;
      const example = exampleOf[i];
      const x = xOf[i];
      if (takesWide) {
        if (sharedOf[i] === 0) wide[example] += x * weights[row];
        else shared[example] += x * weights[row];
      }
      const slot = slotOf[i];
      if (slot < 0) continue;
      const to = example * width + slot;
      if (x === 1 && to !== last) copyWords(words, row + skip, embeddingWords, to, embeddingDim);
      else addFloats(weights, row + skip, embeddings, to, embeddingDim, x);
      last = to;
    }
  }
  spreadSums(batch, shared, wide);
}

/** to[toAt + d] += x · from[fromAt + d] */
function addFloats(
  from: Float32Array,
  fromAt: number,
  to: Float32Array,
  toAt: number,
  count: number,
  x: number,
): void {
  let d = 0;
  for (; d + 4 <= count; d += 4) {
    const source = fromAt + d;
    const target = toAt + d;
    to[target] += x * from[source];
    to[target + 1] += x * from[source + 1];
    to[target + 2] += x * from[source + 2];
    to[target + 3] += x * from[source + 3];
  }
  for (; d < count; d += 1) to[toAt + d] += x * from[fromAt + d];
}

let sums = new Float32Array(0) as Float32Array;

/** Zeros, one an example; of those only the first of each request is used. */
function sharedSums(examples: number): Float32Array {
  if (sums.length < examples) sums = new Float32Array(2 * examples);
  else sums.fill(0, 0, examples);
  return sums;
}

/** Adds what a request's first example has in `shared` to all of its examples. */
function spreadSums({ starts, requests, rows }: GatherBatch, shared: Float32Array, out: Float32Array): void {
  for (let r = 0; r < requests; r += 1) {
    const sum = shared[starts[r]];
    const end = r + 1 < requests ? starts[r + 1] : rows;
    for (let b = starts[r]; b < end; b += 1) out[b] += sum;
  }
}

/**
 * The logits' variances Σ x²/(prior + precision) over the wide weights of tables that keep precisions.
 * @param rows as for gather.
 * @param variances float32[batch.rows], written.
 */
export function gatherVariances(
  plan: FeaturePlan,
  batch: SparseBatch,
  rows: readonly Float32Array[],
  variances: Float32Array,
): void {
  const shared = sharedSums(batch.rows);
  variances.fill(0, 0, batch.rows);
  for (let t = 0; t < batch.tables.length; t += 1) {
    const { precision, dim } = plan.tables[t];
    if (precision === null) continue;
    const { occurrences, keyOf, exampleOf, xOf, sharedOf } = batch.tables[t];
    for (let i = 0; i < occurrences; i += 1) {
      const known = rows[t][keyOf[i] * dim + precision.at];
      const variance = (xOf[i] * xOf[i]) / (precision.prior + known);
      if (sharedOf[i] === 0) variances[exampleOf[i]] += variance;
      else shared[exampleOf[i]] += variance;
    }
  }
  spreadSums(batch, shared, variances);
}

/** What the net gave back for a batch, example by example. */
export interface ExampleGradients {
  /** float32[rows]: ∂loss/∂logit. */
  readonly logits: Float32Array;
  /** float32[rows, embeddingFloats]: ∂loss/∂embedding. */
  readonly embeddings: Float32Array;
  /** float32[rows]: loss weight · p(1 − p), the curvature of the loss in the logit. */
  readonly curvature: Float32Array;
}

/** Sums for one table's keys; arrays hold `unique` rows and are written. */
export interface KeyGradients {
  /** float32[unique, dim]; for the precision of a wide weight what it grows by, Σ p(1−p)·x². */
  readonly gradients: Float32Array;
  /** float32[unique, dim]: Σ p(1−p)·(∂logit/∂w)², or null where the table needs none. */
  readonly curvature: Float32Array | null;
}

/**
 * Fills `out[t]` for the table at place t. A batch that is learned has one item a request: of what several share there are no
 * occurrences that gradients could go to.
 */
export function scatter(
  plan: FeaturePlan,
  batch: SparseBatch,
  from: ExampleGradients,
  out: readonly KeyGradients[],
): void {
  invariant(batch.requests === 0 || batch.requests === batch.rows, 'what is learned has one item a request');
  const width = plan.embeddingFloats;
  for (let t = 0; t < batch.tables.length; t += 1) {
    const table = batch.tables[t];
    const layout = plan.tables[t];
    const { gradients, curvature } = out[t];
    const takesWide = plan.hasWide && layout.hasWide;
    const skip = layout.hasWide ? 1 : 0;
    gradients.fill(0, 0, table.unique * layout.dim);
    curvature?.fill(0, 0, table.unique * layout.dim);
    for (let i = 0; i < table.occurrences; i += 1) {
      const row = table.keyOf[i] * layout.dim;
      const example = table.exampleOf[i];
      const x = table.xOf[i];
      const logitGradient = from.logits[example];
      const logitCurvature = from.curvature[example];
      if (takesWide) {
        gradients[row] += x * logitGradient;
        if (curvature) curvature[row] += x * x * logitCurvature;
      }
      if (layout.precision !== null) gradients[row + layout.precision.at] += x * x * logitCurvature;
      const slot = table.slotOf[i];
      if (slot < 0) continue;
      const at = example * width + slot;
      for (let d = 0; d < layout.embeddingDim; d += 1) {
        const gradient = x * from.embeddings[at + d];
        gradients[row + skip + d] += gradient;
        if (curvature && logitGradient !== 0) {
          const slope = gradient / logitGradient;
          curvature[row + skip + d] += slope * slope * logitCurvature;
        }
      }
    }
  }
}
