/** Training that waits for rows and gets batches into messages of the log; what cannot be trained now is trained later or in two. */
import type { Example } from '@millrace/joiner';
import { type BatchRecord, isMillraceError } from '@millrace/protocol';
import type { Clock, Logger } from '@millrace/runtime';
import { isTooLarge, type TrainedBatch, type Trainer } from './trainer.ts';

export interface PatientTrainingOptions {
  readonly trainer: Trainer;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly model: string;
  /** Makes the newest dense weights those that are trained at. */
  readonly refresh: () => void;
  /** Writes a batch down. */
  readonly record: (record: BatchRecord) => Promise<void>;
  readonly isClosed: () => boolean;
}

/** Examples as they were trained, under the record that stands for them now. */
export interface CutBatch {
  readonly examples: readonly Example[];
  readonly current: BatchRecord;
  readonly trained: TrainedBatch;
}

/** Trains a batch that is written down. */
export type TrainCut = (examples: readonly Example[], of: BatchRecord) => Promise<CutBatch>;

const pauseFirstMs = 50;
const pauseMsMax = 2_000;

export function createPatientTraining(options: PatientTrainingOptions): TrainCut {
  const { trainer, clock, logger, model, isClosed } = options;

  /** Trains at rows and weights of now; waits while no shard can be read. */
  const trainPatiently = async (examples: readonly Example[], of: BatchRecord): Promise<TrainedBatch> => {
    for (let pauseMs = pauseFirstMs; ; pauseMs = Math.min(pauseMsMax, 2 * pauseMs)) {
      try {
        options.refresh();
        const { producer, batch, previous, previousDense } = of;
        const timeMs = clock.now();
        return await trainer.train(examples, { producer, batch, previous, previousDense, timeMs });
      } catch (error) {
        if (isClosed() || !isMillraceError(error) || error.retry === 'never') throw error;
        logger.warn({ code: error.code, reason: error.message }, 'rows not readable, training waits');
        await new Promise<void>((resolve) => clock.setTimer(pauseMs, resolve));
      }
    }
  };

  /**
   * A batch whose gradients are too large for a message of the log is cut in two and written down again, which nobody can
   * have published: its size does not depend on when it is trained. An example that is too large alone teaches nothing.
   */
  const trainCut: TrainCut = async (examples, of) => {
    try {
      return { examples, current: of, trained: await trainPatiently(examples, of) };
    } catch (error) {
      if (!isTooLarge(error)) throw error;
      const half = examples.slice(0, examples.length >> 1);
      if (half.length === 0) {
        logger.error({ model, place: examples[0].place }, 'example too large to be learned, passed over');
        return {
          examples,
          current: of,
          trained: { blocks: [], dense: null, lossSum: 0, unusable: 1, norms: null },
        };
      }
      const current = { ...of, to: half[half.length - 1].place };
      await options.record(current);
      return trainCut(half, current);
    }
  };
  return trainCut;
}
