/**
 * From examples to gradient blocks: one forward and backward pass over a batch at the rows and dense weights of now.
 *
 *   examples → keys → rows (pull) → net → ∂loss/∂logit, ∂loss/∂embedding → summed a key → cut by partition → blocks
 */
import { createReadMarks, pullTables, type RowSource } from '@millrace/client';
import {
  atLeast,
  createBatchSpace,
  createFeatureEncoder,
  gatherSpace,
  type KeyGradients,
  type OpenNet,
  resetSpace,
  scatter,
  tablesToPull,
} from '@millrace/model';
import { encodeDenseBlock, encodeGradientBlock, isMillraceError } from '@millrace/protocol';
import type { Example } from './joiner.ts';
import { cutByPartition } from './partition-cut.ts';

/** Where the blocks of a batch stand in their producer's chain. */
export interface BatchMark {
  readonly producer: string;
  readonly batch: number;
  /** For each partition the batch before, 0: none. */
  readonly previous: readonly number[];
  readonly previousDense: number;
  readonly timeMs: number;
}

export interface TrainedBatch {
  readonly blocks: readonly { readonly partition: number; readonly bytes: Uint8Array }[];
  readonly dense: Uint8Array | null;
  /** Sum of the logloss over the batch at the weights used, natural log. */
  readonly lossSum: number;
  /** Examples whose features could not be used. */
  readonly unusable: number;
}

export interface Trainer {
  /** @throws MILL_BLOCK_INVALID when a block is too large (isTooLarge), MILL_SHARD_UNAVAILABLE, MILL_NOT_READY, MILL_TIMEOUT when rows cannot be read; nothing was published then. */
  train(examples: readonly Example[], mark: BatchMark): Promise<TrainedBatch>;
}

/** Arrays of the step, kept between batches. */
interface Work {
  shown: Float32Array;
  clicked: Float32Array;
  logits: Float32Array;
  logitGradients: Float32Array;
  embeddings: Float32Array;
  curvature: Float32Array;
  readonly parameters: Float32Array;
}

/** True when a batch failed since a block of it is over messageBytesMax: fewer examples may do. */
export function isTooLarge(error: unknown): boolean {
  return isMillraceError(error, 'MILL_BLOCK_INVALID');
}

/** ln(1 + e^z), without overflow. */
function softplus(z: number): number {
  return Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));
}

/**
 * The newest event time that the examples had seen, null where none is known: the watermark of the event log, so that a batch
 * which is made again has it too.
 */
function eventTimeOf(examples: readonly Example[]): number | null {
  const newest = examples.reduce((most, { origin }) => Math.max(most, origin.watermarkMs), 0);
  return newest > 0 ? newest : null;
}

export function createTrainer(net: OpenNet, rows: RowSource): Trainer {
  const { plan, shape, program, file } = net;
  const space = createBatchSpace(plan);
  const encoder = createFeatureEncoder(plan);
  const marks = createReadMarks();
  const expires = plan.tables.some(({ expiry }) => expiry !== null);
  const work: Work = {
    shown: new Float32Array(0),
    clicked: new Float32Array(0),
    logits: new Float32Array(0),
    logitGradients: new Float32Array(0),
    embeddings: new Float32Array(0),
    curvature: new Float32Array(0),
    parameters: new Float32Array(shape.parameters),
  };
  const keyGradients: { gradients: Float32Array; curvature: Float32Array }[] = plan.tables.map(() => ({
    gradients: new Float32Array(0),
    curvature: new Float32Array(0),
  }));

  const encode = (examples: readonly Example[]): number => {
    resetSpace(space);
    work.shown = atLeast(work.shown, examples.length);
    work.clicked = atLeast(work.clicked, examples.length);
    let unusable = 0;
    for (const { user, context, item, shown, clicked, place } of examples) {
      try {
        encoder.beginRequest(user, context);
        encoder.addItem(space.batch, item, place[2]);
        work.shown[space.batch.rows - 1] = shown;
        work.clicked[space.batch.rows - 1] = clicked;
      } catch (error) {
        // Scored requests were checked; only an impression written by somebody else can get here.
        if (!isMillraceError(error)) throw error;
        unusable += 1;
      }
    }
    return unusable;
  };

  const backward = async () => {
    const n = space.batch.rows;
    work.logits = atLeast(work.logits, n);
    work.logitGradients = atLeast(work.logitGradients, n);
    work.embeddings = atLeast(work.embeddings, n * plan.embeddingFloats);
    work.curvature = atLeast(work.curvature, n);
    const input = gatherSpace(space);
    await program.gradients(net.versions.current.loaded, input, work.shown, work.clicked, work);
    let lossSum = 0;
    for (let i = 0; i < n; i += 1) {
      const p = 1 / (1 + Math.exp(-work.logits[i]));
      work.curvature[i] = work.shown[i] * p * (1 - p);
      lossSum += work.shown[i] * softplus(work.logits[i]) - work.clicked[i] * work.logits[i];
    }
    return lossSum;
  };

  const sumByKey = (): readonly KeyGradients[] => {
    const sums = plan.tables.map((layout, t) => {
      const floats = space.batch.tables[t].unique * layout.dim;
      const kept = keyGradients[t];
      kept.gradients = atLeast(kept.gradients, floats);
      if (layout.needsCurvature) kept.curvature = atLeast(kept.curvature, floats);
      return { gradients: kept.gradients, curvature: layout.needsCurvature ? kept.curvature : null };
    });
    scatter(
      plan,
      space.batch,
      { logits: work.logitGradients, embeddings: work.embeddings, curvature: work.curvature },
      sums,
    );
    return sums;
  };

  return {
    async train(examples, mark) {
      const unusable = encode(examples);
      if (space.batch.rows === 0) return { blocks: [], dense: null, lossSum: 0, unusable };
      marks.count = 0;
      await pullTables(rows, tablesToPull(space), { model: file.name, marks, onAbsent: 'fail' });
      const lossSum = await backward();
      const { producer, batch: sequence, previous, previousDense, timeMs } = mark;
      const common = { producer, sequence, model: file.name, fingerprint: net.fingerprint, timeMs };
      const cuts = cutByPartition(plan, space.batch, sumByKey(), previous.length);
      const eventTimeMs = expires ? eventTimeOf(examples) : null;
      const blocks = cuts.map(({ partition, sections }) => ({
        partition,
        bytes: encodeGradientBlock({
          ...common,
          partition,
          previous: previous[partition],
          sections,
          eventTimeMs,
        }),
      }));
      const dense =
        shape.parameters > 0
          ? encodeDenseBlock({ ...common, previous: previousDense, gradients: work.parameters })
          : null;
      return { blocks, dense, lossSum, unusable };
    },
  };
}
