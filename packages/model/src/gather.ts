/**
 * Between rows and the net. `gather` pools pulled rows into the net's inputs; `scatter` takes the net's gradients back to
 * the keys, summed over all their occurrences in the batch.
 */
import type { NetInput } from './engine.ts';
import type { FeaturePlan } from './feature-plan.ts';
import type { SparseBatch } from './sparse-batch.ts';

/**
 * Fills `input` for the batch. `input`'s arrays must hold batch.rows examples.
 * @param rows for each table float32[unique, dim]: the pulled rows in order of the batch's keys.
 * @param variances float32[batch.rows], written: the logit's variance Σ x²/(prior + precision) over the wide weights of tables
 *   that keep precisions; null when nobody asks.
 */
export function gather(
  plan: FeaturePlan,
  batch: SparseBatch,
  rows: readonly Float32Array[],
  input: Pick<NetInput, 'wide' | 'embeddings'>,
  variances: Float32Array | null = null,
): void {
  const { wide, embeddings } = input;
  const width = plan.embeddingFloats;
  wide.fill(0, 0, batch.rows);
  embeddings.fill(0, 0, batch.rows * width);
  for (let t = 0; t < batch.tables.length; t += 1) {
    const table = batch.tables[t];
    const layout = plan.tables[t];
    const weights = rows[t];
    const takesWide = plan.hasWide && layout.hasWide;
    const skip = layout.hasWide ? 1 : 0;
    for (let i = 0; i < table.occurrences; i += 1) {
      const row = table.keyOf[i] * layout.dim;
      const example = table.exampleOf[i];
      const x = table.xOf[i];
      if (takesWide) wide[example] += x * weights[row];
      const slot = table.slotOf[i];
      if (slot < 0) continue;
      const to = example * width + slot;
      for (let d = 0; d < layout.embeddingDim; d += 1) embeddings[to + d] += x * weights[row + skip + d];
    }
  }
  if (variances !== null) gatherVariances(plan, batch, rows, variances);
}

function gatherVariances(
  plan: FeaturePlan,
  batch: SparseBatch,
  rows: readonly Float32Array[],
  variances: Float32Array,
): void {
  variances.fill(0, 0, batch.rows);
  for (let t = 0; t < batch.tables.length; t += 1) {
    const { precision, dim } = plan.tables[t];
    if (precision === null) continue;
    const { occurrences, keyOf, exampleOf, xOf } = batch.tables[t];
    for (let i = 0; i < occurrences; i += 1) {
      const known = rows[t][keyOf[i] * dim + precision.at];
      variances[exampleOf[i]] += (xOf[i] * xOf[i]) / (precision.prior + known);
    }
  }
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

/** Fills `out[t]` for the table at place t. */
export function scatter(
  plan: FeaturePlan,
  batch: SparseBatch,
  from: ExampleGradients,
  out: readonly KeyGradients[],
): void {
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
