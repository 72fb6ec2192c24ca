/**
 * Memory of one batch on its way through features, rows and net; kept for the next batch and grown to the largest. A batch
 * owns its space from the first example to the last score, so a node that overlaps batches has several.
 */
import type { NetInput } from './engine.ts';
import type { FeaturePlan } from './feature-plan.ts';
import { gather } from './gather.ts';
import { createSparseBatch, resetBatch, type SparseBatch } from './sparse-batch.ts';

export interface BatchSpace {
  readonly plan: FeaturePlan;
  readonly batch: SparseBatch;
  /** For each table float32[unique, dim]: where pulled rows go. */
  readonly rows: Float32Array[];
  wide: Float32Array;
  embeddings: Float32Array;
  logits: Float32Array;
}

export function createBatchSpace(plan: FeaturePlan): BatchSpace {
  return {
    plan,
    batch: createSparseBatch(plan),
    rows: plan.tables.map(() => new Float32Array(0)),
    wide: new Float32Array(0),
    embeddings: new Float32Array(0),
    logits: new Float32Array(0),
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
    space.rows[t] = atLeast(space.rows[t], table.unique * layout.dim);
    return { layout, keys: table.keys, count: table.unique, out: space.rows[t] };
  });
}

/** Pools the pulled rows into the net's inputs. */
export function gatherSpace(space: BatchSpace): NetInput {
  const { batch, plan } = space;
  space.wide = atLeast(space.wide, batch.rows);
  space.embeddings = atLeast(space.embeddings, batch.rows * plan.embeddingFloats);
  space.logits = atLeast(space.logits, batch.rows);
  const input = { rows: batch.rows, wide: space.wide, embeddings: space.embeddings, dense: batch.dense };
  gather(plan, batch, space.rows, input);
  return input;
}

/** `array` when it holds `floats`, else a larger one. */
export function atLeast(array: Float32Array, floats: number): Float32Array {
  return array.length >= floats ? array : new Float32Array(Math.max(64, 2 ** Math.ceil(Math.log2(floats))));
}
