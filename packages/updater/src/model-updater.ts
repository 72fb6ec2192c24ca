/**
 * Learns one model: event log → joiner → queue of examples → batches → trainer → publisher.
 *
 *   start    the last record says which batch may be half published: its examples are found again and it goes out anew
 *   batch    first `batchExamplesMax` examples, or what is there `batchDelayMs` after the first
 *   told     after each batch, and every headsIdleMs, the log heads (protocol/heads.ts)
 *   idle     a tick a second while impressions wait and nothing else tells the time
 */
import { followDense, type RowSource } from '@millrace/client';
import type { DenseState } from '@millrace/core';
import { type EngineName, openNet } from '@millrace/model';
import {
  type BatchRecord,
  comparePlaces,
  decodeEvent,
  type Event,
  encodeEvent,
  encodeHeads,
  eventsSubject,
  headsIdleMs,
  headsSubject,
  isMillraceError,
  type LearningCounters,
  type ModelFile,
  modelNameFrom,
  partitionsDefault,
  type Rejection,
} from '@millrace/protocol';
import type { Bus, Clock, Logger, LogMessage } from '@millrace/runtime';
import type { Archive } from '@millrace/snapshot';
import { finishedRecord, firstRecord, nextRecord } from './batch-chain.ts';
import { openBatchPublisher } from './batch-publisher.ts';
import { keepDenseSnapshots } from './dense-snapshots.ts';
import { createExampleQueue } from './example-queue.ts';
import { createJoiner, type Example, type Joiner, joinerOptionsOf } from './joiner.ts';
import { createTrainer, isTooLarge, type TrainedBatch } from './trainer.ts';

export interface ModelUpdaterOptions {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly rows: RowSource;
  readonly engine: 'auto' | EngineName;
  /** Overrides of the model file's `learning`, for replays in one process. */
  readonly batchExamplesMax?: number;
  readonly batchDelayMs?: number;
  /** `manual`: batches are made by flush() alone, and no ticks or heads are sent by timers. */
  readonly drive: 'timers' | 'manual';
  readonly onFailed: (error: Error) => void;
  /** Unique to this process (protocol/batch-record.ts). */
  readonly writer: string;
  /** Where snapshots are shared; null: nowhere. */
  readonly archive: Archive | null;
  /** Of the dense weights; 0: never. */
  readonly snapshotEveryMs: number;
  readonly snapshotChains: number;
}

export interface ModelUpdater {
  /** Learns everything that is complete now; resolves when its blocks are acknowledged. */
  flush(): Promise<void>;
  readonly counters: LearningCounters;
  /** The dense weights as this updater has folded them; only read. */
  readonly dense: DenseState;
  close(): Promise<void>;
}

const batchExamplesMaxDefault = 512;
const batchDelayMsDefault = 20;
/** Complete examples that wait for a batch, or one whole batch if that is more; beyond it the event log is not read on. */
const queueExamplesMax = 20_000;
const tickAfterMs = 1_000;
/**
 * A chain of a partition's snapshots is a full one and up to seven deltas, dense ones are always full: so many of them reach as
 * far back as a chain does.
 */
const snapshotsAChain = 8;
const rejectionsTold = 20;

export async function startModelUpdater(
  file: ModelFile,
  options: ModelUpdaterOptions,
): Promise<ModelUpdater> {
  const { bus, clock, logger, writer, archive } = options;
  const model = modelNameFrom(file.name);
  const partitions = file.partitions ?? partitionsDefault;
  const learning = file.learning ?? {};
  const batchExamplesMax = options.batchExamplesMax ?? learning.batchExamplesMax ?? batchExamplesMaxDefault;
  const batchDelayMs = options.batchDelayMs ?? learning.batchDelayMs ?? batchDelayMsDefault;
  const queueMax = Math.max(queueExamplesMax, batchExamplesMax);

  const net = await openNet(file, {
    wanted: options.engine,
    onSkip: (engine, reason) => logger.info({ engine, reason }, 'engine skipped'),
  });
  const dense = await followDense({ bus, archive, state: net.dense, logger, onFailed: options.onFailed });
  await dense.caughtUp;
  const snapshots = keepDenseSnapshots({
    bus,
    clock,
    logger,
    archive,
    state: net.dense,
    everyMs: options.drive === 'manual' ? 0 : options.snapshotEveryMs,
    fulls: snapshotsAChain * options.snapshotChains,
  });
  const trainer = createTrainer(net, options.rows);
  const publisher = await openBatchPublisher({ bus, clock, logger, model, partitions });

  const { found } = publisher;
  let record: BatchRecord = found ? { ...found, writer } : firstRecord(file.name, partitions, writer);
  /** The batch that a predecessor may have published in part; made again first. */
  let unfinished: BatchRecord | null = found;
  let lastSequence = record.joinFrom - 1;
  let lastEventMs = clock.monotonicMs();
  let invalidEvents = 0;
  let rejections: Rejection[] = [];
  const queue = createExampleQueue(queueMax);
  let closed = false;

  const joiner: Joiner = createJoiner(
    joinerOptionsOf(file),
    {
      onExample(example) {
        if (comparePlaces(example.place, record.from) > 0) queue.push(example);
      },
      onRejection(rejection, sequence) {
        // What was decided before the newest batch has been told; there this fold may misread what began before it.
        if (found && sequence <= found.to[0]) return;
        rejections = [...rejections, rejection].slice(-rejectionsTold);
      },
    },
    record.joinWatermarkMs,
  );

  const onMessage = (message: LogMessage): void | Promise<void> => {
    let event: Event;
    try {
      event = decodeEvent(message.payload);
    } catch (error) {
      if (!isMillraceError(error)) throw error;
      invalidEvents += 1;
      const { message: reason } = error;
      rejections = [
        ...rejections,
        { code: 'MILL_EVENT_INVALID' as const, requestId: '', reason, timeMs: clock.now() },
      ].slice(-rejectionsTold);
      lastSequence = message.sequence;
      return;
    }
    joiner.take(message.sequence, event);
    lastSequence = message.sequence;
    lastEventMs = clock.monotonicMs();
    if (queue.length > 0) requestBatch();
    // A batch to be made again may be larger than the batches of now, and needs all of its examples.
    const lacksExamples = unfinished !== null && lastSequence < unfinished.to[0];
    return lacksExamples || closed ? undefined : (queue.room() ?? undefined);
  };

  /** The examples of the next batch, which stay queued; null when there are none, or not all of an unfinished one yet. */
  const nextExamples = (): readonly Example[] | null => {
    if (!unfinished) return queue.length > 0 ? queue.first(batchExamplesMax) : null;
    if (lastSequence < unfinished.to[0]) return null;
    return queue.first(queue.countThrough(unfinished.to));
  };

  /** Trains at rows and weights of now; waits while no shard can be read. */
  const trainPatiently = async (examples: readonly Example[], of: BatchRecord): Promise<TrainedBatch> => {
    for (let pauseMs = 50; ; pauseMs = Math.min(2_000, 2 * pauseMs)) {
      try {
        net.versions.refresh();
        const { producer, batch, previous, previousDense } = of;
        return await trainer.train(examples, {
          producer,
          batch,
          previous,
          previousDense,
          timeMs: clock.now(),
        });
      } catch (error) {
        if (closed || !isMillraceError(error) || error.retry === 'never') throw error;
        logger.warn({ code: error.code, reason: error.message }, 'rows not readable, training waits');
        await new Promise<void>((resolve) => clock.setTimer(pauseMs, resolve));
      }
    }
  };

  /**
   * Trains a batch that is written down. One whose gradients are too large for a message of the log is cut in two and
   * written down again, which nobody can have published: its size does not depend on when it is trained. An example that is
   * too large alone teaches nothing.
   */
  const trainCut = async (
    examples: readonly Example[],
    of: BatchRecord,
  ): Promise<{ examples: readonly Example[]; current: BatchRecord; trained: TrainedBatch }> => {
    try {
      return { examples, current: of, trained: await trainPatiently(examples, of) };
    } catch (error) {
      if (!isTooLarge(error)) throw error;
      const half = examples.slice(0, examples.length >> 1);
      if (half.length === 0) {
        logger.error({ model, place: examples[0].place }, 'example too large to be learned, passed over');
        return { examples, current: of, trained: { blocks: [], dense: null, lossSum: 0, unusable: 1 } };
      }
      const current = { ...of, to: half[half.length - 1].place };
      await publisher.record(current);
      return trainCut(half, current);
    }
  };

  const learnBatch = async (): Promise<boolean> => {
    const found = nextExamples();
    if (found === null) return false;
    // An unfinished batch is written down already; writing it once more takes the model over from whoever wrote it.
    const written: BatchRecord = unfinished ? { ...unfinished, writer } : nextRecord(record, found);
    await publisher.record(written);
    if (found.length > 0) {
      const { examples, current, trained } = await trainCut(found, written);
      await publisher.publish(current, trained);
      record = finishedRecord(current, examples, trained);
      queue.drop(examples.length);
    } else {
      record = written;
    }
    unfinished = null;
    tellHeads();
    return true;
  };

  const counters = (): LearningCounters => ({
    batches: record.batch,
    learned: record.learned,
    positives: record.positives,
    openImpressions: joiner.openEntries,
    rejectedOutcomes: joiner.counts.rejected,
    invalidEvents,
    duplicateOutcomes: joiner.counts.duplicateOutcomes,
    rejections,
  });

  const tellHeads = () => {
    const { partitions: heads, dense: denseHead } = publisher.heads;
    bus.notify(
      headsSubject(model),
      encodeHeads({ model, timeMs: clock.now(), partitions: heads, dense: denseHead, counters: counters() }),
    );
    rejections = [];
  };

  let turn: Promise<void> = Promise.resolve();
  let busy = false;
  const learnAll = () => {
    turn = turn.then(async () => {
      busy = true;
      while (await learnBatch());
      busy = false;
    });
    return turn;
  };

  let batchTimer: { cancel(): void } | null = null;
  const requestBatch = () => {
    // A running turn goes on until nothing is left, so it needs no second one.
    if (options.drive === 'manual' || closed || busy) return;
    const isFull = queue.length >= batchExamplesMax || unfinished !== null;
    if (batchTimer && !isFull) return;
    batchTimer?.cancel();
    batchTimer = clock.setTimer(isFull ? 0 : batchDelayMs, () => {
      batchTimer = null;
      learnAll().catch((error: Error) => {
        // Once it closes, a batch that is given up is no failure: the next start makes it again.
        if (!closed) options.onFailed(error);
      });
    });
  };

  const onIdle = () => {
    tellHeads();
    const isQuiet = clock.monotonicMs() - lastEventMs >= tickAfterMs;
    if (isQuiet && joiner.openEntries > 0) {
      lastEventMs = clock.monotonicMs();
      bus
        .append('events', eventsSubject(model), encodeEvent({ type: 'tick', timeMs: clock.now() }))
        .catch((error: unknown) => logger.warn({ err: error }, 'tick not stored'));
    }
    if (unfinished && lastSequence >= unfinished.to[0]) requestBatch();
    idleTimer = clock.setTimer(headsIdleMs, onIdle);
  };

  const reader = await bus.read('events', {
    subject: eventsSubject(model),
    from: record.joinFrom,
    onMessage,
    onError: options.onFailed,
  });
  let idleTimer = options.drive === 'timers' ? clock.setTimer(headsIdleMs, onIdle) : { cancel() {} };
  logger.info(
    { model, batch: record.batch, joinFrom: record.joinFrom, engine: net.engine.name },
    'learning started',
  );

  return {
    flush: learnAll,
    dense: net.dense,
    get counters() {
      return counters();
    },
    async close() {
      closed = true;
      idleTimer.cancel();
      batchTimer?.cancel();
      queue.release();
      await reader.close();
      publisher.close();
      await learnAll().catch((error: unknown) =>
        logger.warn({ err: error }, 'last batch not learned; it will be after a restart'),
      );
      await snapshots.close();
      await dense.close();
      net.dispose();
      logger.info({ model, batch: record.batch, learned: record.learned }, 'learning stopped');
    },
  };
}
