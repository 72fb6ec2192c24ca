/**
 * From examples to gradient blocks: one step (model, gradient-step.ts) over a batch at the rows and dense weights of now.
 *
 *   examples → keys → rows (pull) → gradients summed a key → cut by partition → blocks
 */
import { createReadMarks, pullTables, type RowSource } from '@millrace/client';
import type { Example } from '@millrace/joiner';
import { createGradientStep, type GradientNorms, type OpenNet, tablesToPull } from '@millrace/model';
import { encodeDenseBlock, encodeGradientBlock, isMillraceError } from '@millrace/protocol';
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
  /** Null when nothing was trained. */
  readonly norms: GradientNorms | null;
}

export interface Trainer {
  /** @throws MILL_BLOCK_INVALID when a block is too large (isTooLarge), MILL_SHARD_UNAVAILABLE, MILL_NOT_READY, MILL_TIMEOUT when rows cannot be read; nothing was published then. */
  train(examples: readonly Example[], mark: BatchMark): Promise<TrainedBatch>;
}

/** True when a batch failed since a block of it is over messageBytesMax: fewer examples may do. */
export function isTooLarge(error: unknown): boolean {
  return isMillraceError(error, 'MILL_BLOCK_INVALID');
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
  const { plan, shape, file } = net;
  const step = createGradientStep(net);
  const marks = createReadMarks();
  const expires = plan.tables.some(({ expiry }) => expiry !== null);

  /** @returns how many examples could not be used. */
  const encode = (examples: readonly Example[]): number => {
    step.begin();
    let unusable = 0;
    for (const example of examples) {
      try {
        step.add(example, example.place[2]);
      } catch (error) {
        // Scored requests were checked; only an impression written by somebody else can get here.
        if (!isMillraceError(error)) throw error;
        unusable += 1;
      }
    }
    return unusable;
  };

  return {
    async train(examples, mark) {
      const unusable = encode(examples);
      const { space } = step;
      if (space.batch.rows === 0) return { blocks: [], dense: null, lossSum: 0, unusable, norms: null };
      marks.count = 0;
      await pullTables(rows, tablesToPull(space), { model: file.name, marks, onAbsent: 'fail' });
      await step.run(net.versions.current);
      const { producer, batch: sequence, previous, previousDense, timeMs } = mark;
      const common = { producer, sequence, model: file.name, fingerprint: net.fingerprint, timeMs };
      const eventTimeMs = expires ? eventTimeOf(examples) : null;
      const cuts = cutByPartition(plan, space.batch, step.sums, previous.length);
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
        shape.denseParameters > 0
          ? encodeDenseBlock({ ...common, previous: previousDense, gradients: step.parameters })
          : null;
      return { blocks, dense, lossSum: step.lossSum(), unusable, norms: step.norms() };
    },
  };
}
