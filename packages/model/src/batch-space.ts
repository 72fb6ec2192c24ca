/**
 * Memory of one batch on its way through features, rows and net; kept for the next batch and grown to the largest. A batch
 * owns its space from the first example to the last score, so a node that overlaps batches has several.
 */
import type { LoadedWeights, NetInput, Program } from './engine.ts';
import type { FeaturePlan } from './feature-plan.ts';
import { gather, gatherVariances } from './gather.ts';
import { denseOf, type Scales } from './moments.ts';
import { sharedFloats } from './shared-arrays.ts';
import { createSparseBatch, resetBatch, type SparseBatch } from './sparse-batch.ts';

export interface BatchSpace {
  readonly plan: FeaturePlan;
  readonly batch: SparseBatch;
  /** For each table float32[unique, dim]: where pulled rows go; in memory that threads share. */
  readonly rows: Float32Array[];
  wide: Float32Array;
  embeddings: Float32Array;
  /** Numbers normalised by running moments; stays empty where no field has any. */
  dense: Float32Array;
  logits: Float32Array;
  /** Variances of the logits (gather.ts); stays empty where no table keeps precisions. */
  variances: Float32Array;
}

export function createBatchSpace(plan: FeaturePlan): BatchSpace {
  return {
    plan,
    batch: createSparseBatch(plan),
    rows: plan.tables.map(() => sharedFloats(0)),
    wide: new Float32Array(0),
    embeddings: new Float32Array(0),
    dense: new Float32Array(0),
    logits: new Float32Array(0),
    variances: new Float32Array(0),
  };
}

/** Empties the space for a new batch. */
export function resetSpace(space: BatchSpace): void {
  resetBatch(space.batch);
}

/** What has to be pulled for the batch: for each table its layout, its keys and where their rows go. */
export function tablesToPull(space: BatchSpace) {
  return space.batch.tables.map((table, t) => {
    const layout = space.plan.tables[t];
    const floats = table.unique * layout.dim;
    if (space.rows[t].length < floats) space.rows[t] = sharedFloats(roomFor(floats));
    return { layout, keys: table.keys, count: table.unique, out: space.rows[t] };
  });
}

/**
 * Makes the net's inputs of the pulled rows.
 * @param scales of the dense version that the batch will run with (DenseVersion.scales): no other may normalise it (I5).
 */
export function gatherSpace(space: BatchSpace, scales: Scales): NetInput {
  const { batch, plan } = space;
  const { rows } = batch;
  space.wide = atLeast(space.wide, rows);
  space.embeddings = atLeast(space.embeddings, rows * plan.embeddingFloats);
  space.logits = atLeast(space.logits, rows);
  const dense = denseInputs(space, scales);
  const requests = { starts: batch.starts, count: batch.requests };
  const input = {
    rows,
    wide: space.wide,
    embeddings: space.embeddings,
    dense,
    lengths: batch.lengths,
    requests,
  };
  gather(plan, batch, space.rows, input);
  putVariances(space);
  return input;
}

/**
 * Scores the batch of which the rows were pulled: writes `logits` and `variances`. Where the engine has another thread gather, the
 * bits are the same.
 * @param scales as for gatherSpace.
 * @returns whether another thread did.
 */
export async function scoreSpace(
  program: Program,
  loaded: LoadedWeights,
  scales: Scales,
  space: BatchSpace,
): Promise<boolean> {
  const { batch, plan } = space;
  if (program.forwardBeside !== undefined) {
    space.logits = atLeast(space.logits, batch.rows);
    const dense = denseInputs(space, scales);
    const made = program.forwardBeside(loaded, { plan, batch, rows: space.rows, dense }, space.logits);
    if (made !== null && (await made)) {
      putVariances(space);
      return true;
    }
  }
  await program.forward(loaded, gatherSpace(space, scales), space.logits);
  return false;
}

function putVariances(space: BatchSpace): void {
  const { plan, batch } = space;
  if (!plan.hasVariance) return;
  space.variances = atLeast(space.variances, batch.rows);
  gatherVariances(plan, batch, space.rows, space.variances);
}

function denseInputs(space: BatchSpace, scales: Scales): Float32Array {
  const { batch, plan } = space;
  if (plan.moments.length > 0) space.dense = atLeast(space.dense, batch.rows * plan.denseInputs.length);
  return denseOf(plan, batch, scales, space.dense);
}

/** `array` when it holds `floats`, else a larger one. */
export function atLeast(array: Float32Array, floats: number): Float32Array {
  return array.length >= floats ? array : new Float32Array(roomFor(floats));
}

function roomFor(floats: number): number {
  return Math.max(64, 2 ** Math.ceil(Math.log2(floats)));
}
