/**
 * Batches, one after the other: the examples of the next one are written down, trained, published and dropped. The batch that
 * a predecessor may have published in part comes first, once all of its examples have been found again.
 */
import type { Example } from '@millrace/joiner';
import type { BatchRecord } from '@millrace/protocol';
import { finishedRecord, nextRecord } from './batch-chain.ts';
import type { BatchPublisher } from './batch-publisher.ts';
import type { ExampleQueue } from './example-queue.ts';
import type { TrainCut } from './patient-training.ts';
import type { TrainedBatch } from './trainer.ts';

export interface BatchTurns {
  /** What the next batch builds on. */
  readonly record: BatchRecord;
  /** The batch that has to be made again, null when there is none. */
  readonly unfinished: BatchRecord | null;
  /** True while learnAll runs. */
  readonly busy: boolean;
  /** Learns everything that is complete now. */
  learnAll(): Promise<void>;
}

export interface BatchTurnsOptions {
  readonly queue: ExampleQueue;
  readonly publisher: BatchPublisher;
  readonly trainCut: TrainCut;
  readonly record: BatchRecord;
  readonly writer: string;
  readonly batchExamplesMax: number;
  /** The newest event that was folded. */
  readonly lastSequence: () => number;
  /** These examples are learned: their blocks are acknowledged. */
  readonly onTrained: (examples: readonly Example[], trained: TrainedBatch) => void;
  /** A batch is behind, an empty one too. */
  readonly onLearned: () => void;
}

export function createBatchTurns(options: BatchTurnsOptions): BatchTurns {
  const { queue, publisher, trainCut, writer } = options;
  const { found } = publisher;
  let { record } = options;
  let unfinished: BatchRecord | null = found;
  let turn: Promise<void> = Promise.resolve();
  let busy = false;

  /** The examples of the next batch, which stay queued; null when there are none, or not all of an unfinished one yet. */
  const nextExamples = (): readonly Example[] | null => {
    if (!unfinished) return queue.length > 0 ? queue.first(options.batchExamplesMax) : null;
    if (options.lastSequence() < unfinished.to[0]) return null;
    return queue.first(queue.countThrough(unfinished.to));
  };

  const learnBatch = async (): Promise<boolean> => {
    const next = nextExamples();
    if (next === null) return false;
    // An unfinished batch is written down already; writing it once more takes the model over from whoever wrote it.
    const written: BatchRecord = unfinished ? { ...unfinished, writer } : nextRecord(record, next);
    await publisher.record(written);
    if (next.length > 0) {
      const { examples, current, trained } = await trainCut(next, written);
      await publisher.publish(current, trained);
      record = finishedRecord(current, examples, trained);
      queue.drop(examples.length);
      options.onTrained(examples, trained);
    } else {
      record = written;
    }
    unfinished = null;
    options.onLearned();
    return true;
  };

  return {
    get record() {
      return record;
    },
    get unfinished() {
      return unfinished;
    },
    get busy() {
      return busy;
    },
    learnAll() {
      turn = turn.then(async () => {
        busy = true;
        while (await learnBatch());
        busy = false;
      });
      return turn;
    },
  };
}
