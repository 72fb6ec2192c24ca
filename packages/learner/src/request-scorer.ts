/**
 * Scores requests over rows of this process: the path of a scoring node without its sockets, features → keys → rows → pooled
 * inputs → logits.
 */
import type { PartitionState } from '@millrace/core';
import {
  createBatchSpace,
  createFeatureEncoder,
  type FeaturePlan,
  gatherSpace,
  type Items,
  type LoadedWeights,
  type Program,
  resetSpace,
  type Scales,
} from '@millrace/model';
import type { Features } from '@millrace/protocol';
import { createRowReader } from './row-reader.ts';

export interface RequestFeatures {
  readonly user: Features;
  readonly context: Features;
  readonly items: Items;
}

export interface RequestScorer {
  /**
   * Scores some requests as one batch.
   * @param loaded  of the scorer's program.
   * @param scales  of the same weights.
   * @returns float32[items or more]: logits, request after request; valid until the next call.
   * @throws MILL_FEATURE_INVALID
   */
  score(loaded: LoadedWeights, scales: Scales, requests: readonly RequestFeatures[]): Promise<Float32Array>;
}

/** @param states  by partition, all of them; only read. */
export function createRequestScorer(
  plan: FeaturePlan,
  program: Program,
  states: readonly PartitionState[],
): RequestScorer {
  const space = createBatchSpace(plan);
  const encoder = createFeatureEncoder(plan);
  const readRows = createRowReader(states);
  return {
    async score(loaded, scales, requests) {
      resetSpace(space);
      for (const { user, context, items } of requests) {
        encoder.beginRequest(user, context);
        encoder.addItems(space.batch, items);
      }
      readRows(space);
      await program.forward(loaded, gatherSpace(space, scales), space.logits);
      return space.logits;
    },
  };
}
