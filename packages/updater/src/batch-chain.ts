/** The records of one producer's batches, each built on the one before (protocol/batch-record.ts). Pure. */

import type { Example } from '@millrace/joiner';
import type { BatchRecord, ExamplePlace } from '@millrace/protocol';
import type { TrainedBatch } from './trainer.ts';

const start: ExamplePlace = [0, 0, 0];

/** What stands before the first batch. */
export function firstRecord(model: string, partitions: number, writer: string): BatchRecord {
  return {
    producer: `updater-${model}`,
    writer,
    batch: 0,
    from: start,
    to: start,
    joinFrom: 1,
    joinWatermarkMs: 0,
    previous: new Array<number>(partitions).fill(0),
    previousDense: 0,
    learned: 0,
    positives: 0,
  };
}

/** The record of a batch of these examples, one or more, after a finished one. */
export function nextRecord(finished: BatchRecord, examples: readonly Example[]): BatchRecord {
  // Where the first of them can be found again, so can all that come after it.
  const { origin } = examples[0];
  return {
    ...finished,
    batch: finished.batch + 1,
    from: finished.to,
    to: examples[examples.length - 1].place,
    joinFrom: origin.sequence,
    joinWatermarkMs: origin.watermarkMs,
  };
}

/** What the next record builds on: the chain of each touched partition is one block longer. */
export function finishedRecord(
  current: BatchRecord,
  examples: readonly Example[],
  trained: TrainedBatch,
): BatchRecord {
  const previous = [...current.previous];
  for (const { partition } of trained.blocks) previous[partition] = current.batch;
  return {
    ...current,
    previous,
    previousDense: trained.dense ? current.batch : current.previousDense,
    learned: current.learned + examples.reduce((sum, { isFirst }) => sum + (isFirst ? 1 : 0), 0),
    positives:
      current.positives + examples.reduce((sum, { makesPositive }) => sum + (makesPositive ? 1 : 0), 0),
  };
}
