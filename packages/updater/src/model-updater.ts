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
import { type ExperimentsView, followArmDeals, isRunning } from '@millrace/experiments';
import type { Example, Origin } from '@millrace/joiner';
import { type EngineName, type EngineWork, type OpenNet, openNet } from '@millrace/model';
import {
  type BatchRecord,
  encodeEvent,
  encodeHeads,
  eventsSubject,
  headsSubject,
  type Impression,
  type LearningCounters,
  type ModelFile,
  modelNameFrom,
  partitionsDefault,
} from '@millrace/protocol';
import type { Bus, Clock, Logger, LogMessage } from '@millrace/runtime';
import type { Archive } from '@millrace/snapshot';
import { firstRecord } from './batch-chain.ts';
import { type BatchPublisher, openBatchPublisher } from './batch-publisher.ts';
import { createBatchTurns } from './batch-turns.ts';
import { keepDenseSnapshots } from './dense-snapshots.ts';
import { createEventIntake, type EventIntake } from './event-intake.ts';
import { createExampleQueue } from './example-queue.ts';
import type { ArmGuards } from './experiments/arm-guards.ts';
import { earlier, keepSums } from './experiments/keep-sums.ts';
import { type LearningTimers, startLearningTimers } from './learning-timers.ts';
import { keepMeasures } from './measures/keep-measures.ts';
import type { MeasureGauges } from './measures/measure-gauges.ts';
import { createPatientTraining } from './patient-training.ts';
import { createTrainer } from './trainer.ts';

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
  /** How well it does is told and kept (measures/); absent or null: nobody asks. */
  readonly measures?: { readonly driftAlert: number; readonly gauges: MeasureGauges } | null;
  /** What comes of experiments is summed, and arms are guarded (experiments/); absent or null: neither. */
  readonly experiments?: { readonly view: ExperimentsView; readonly guards: ArmGuards } | null;
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

export async function startModelUpdater(
  file: ModelFile,
  options: ModelUpdaterOptions,
): Promise<ModelUpdater> {
  const { bus, clock, logger, writer } = options;
  const model = modelNameFrom(file.name);
  const partitions = file.partitions ?? partitionsDefault;
  const learning = file.learning ?? {};
  const batchExamplesMax = options.batchExamplesMax ?? learning.batchExamplesMax ?? batchExamplesMaxDefault;
  const { net, dense, snapshots } = await openDensePart(file, options);
  const publisher = await openBatchPublisher({ bus, clock, logger, model, partitions });
  const { found } = publisher;
  const record: BatchRecord = found ? { ...found, writer } : firstRecord(file.name, partitions, writer);
  const queue = createExampleQueue(Math.max(queueExamplesMax, batchExamplesMax));
  const { measures } = options;
  const kept = measures ? await keepMeasures({ bus, clock, logger, file, ...measures }) : null;
  const arms = await openArms(file, record, options);
  let closed = false;
  const { origin, onJoined, onShown } = arms;
  const intake = createEventIntake({
    file,
    clock,
    record,
    origin,
    found,
    onExample: queue.push,
    onJoined,
    onShown,
  });
  const trainCut = createPatientTraining({
    trainer: createTrainer(net, options.rows),
    clock,
    logger,
    model,
    refresh: () => void net.versions.refresh(),
    record: publisher.record,
    isClosed: () => closed,
  });
  const tellHeads = () => tellHeadsOf({ bus, clock, model, publisher, intake, counters: counters() });
  const turns = createBatchTurns({
    queue,
    publisher,
    trainCut,
    record,
    writer,
    batchExamplesMax,
    lastSequence: () => intake.lastSequence,
    onTrained(examples, { norms }) {
      if (norms) kept?.take(examples, norms);
    },
    onLearned: tellHeads,
  });
  const counters = (): LearningCounters => {
    const { batch, learned, positives } = turns.record;
    return { batches: batch, learned, positives, ...intake.counters() };
  };
  const onIdle = () => {
    tellHeads();
    tellTime(intake, options, model);
    if (turns.unfinished && intake.lastSequence >= turns.unfinished.to[0]) timers?.requestBatch();
  };
  const timers: LearningTimers | null =
    options.drive === 'manual'
      ? null
      : startLearningTimers({
          clock,
          batchDelayMs: options.batchDelayMs ?? learning.batchDelayMs ?? batchDelayMsDefault,
          isFull: () => queue.length >= batchExamplesMax || turns.unfinished !== null,
          isBusy: () => turns.busy,
          learn: turns.learnAll,
          onIdle,
          onFailed: options.onFailed,
        });

  const reader = await bus.read('events', {
    subject: eventsSubject(model),
    from: origin.sequence,
    onMessage(message: LogMessage): void | Promise<void> {
      intake.take(message);
      if (queue.length > 0) timers?.requestBatch();
      // A batch to be made again may be larger than the batches of now, and needs all of its examples.
      const { unfinished } = turns;
      const lacksExamples = unfinished !== null && intake.lastSequence < unfinished.to[0];
      return lacksExamples || closed ? undefined : (queue.room() ?? undefined);
    },
    onError: options.onFailed,
  });
  const { batch, joinFrom } = record;
  logger.info({ model, batch, joinFrom, engine: net.engine.name, ...net.choice }, 'learning started');

  return {
    flush: turns.learnAll,
    dense: net.dense,
    get counters() {
      return counters();
    },
    async close() {
      closed = true;
      timers?.close();
      queue.release();
      await reader.close();
      publisher.close();
      await turns
        .learnAll()
        .catch((error: unknown) =>
          logger.warn({ err: error }, 'last batch not learned; it will be after a restart'),
        );
      await kept?.close();
      await arms.close();
      await snapshots.close();
      await dense.close();
      net.dispose();
      logger.info({ model, batch: turns.record.batch, learned: turns.record.learned }, 'learning stopped');
    },
  };
}

/** Batches by which `auto` chooses an engine. */
const learningWork: EngineWork = { kind: 'steps', rows: [32, 256] };

/** What comes of experiments, from where the log must be read for it. */
async function openArms(file: ModelFile, record: BatchRecord, options: ModelUpdaterOptions) {
  const { bus, clock, logger, experiments } = options;
  const origin: Origin = { sequence: record.joinFrom, watermarkMs: record.joinWatermarkMs };
  if (!experiments) return { origin, onJoined() {}, onShown() {}, async close() {} };
  const { view, guards } = experiments;
  const { name } = file;
  const hasRunning = () => view.catalogOf(name).experiments.some(isRunning);
  const deals = followArmDeals(view, name);
  const sums = await keepSums({ bus, clock, logger, file, record, isRunning: hasRunning, deals });
  const window = guards.watch(name);
  // Written as soon as there is something to sum, so that a successor knows from where on.
  const stopListening = view.onChange((model) => {
    if (model === name && hasRunning()) void sums.store();
  });
  return {
    origin: earlier(origin, sums.origin),
    onJoined(example: Example) {
      sums.take(example);
      window.noteExample(example);
    },
    onShown(impression: Impression, sequence: number) {
      sums.takeShown(impression);
      window.noteShown(sequence);
    },
    async close() {
      stopListening();
      deals.close();
      await sums.close();
    },
  };
}

/** The net, its dense weights as the log has them, and their snapshots. */
async function openDensePart(file: ModelFile, options: ModelUpdaterOptions) {
  const { bus, clock, logger, archive, onFailed } = options;
  const net: OpenNet = await openNet(file, {
    wanted: options.engine,
    work: learningWork,
    onSkip: (engine, reason) => logger.info({ engine, reason }, 'engine skipped'),
  });
  const dense = await followDense({ bus, archive, state: net.dense, logger, onFailed });
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
  return { net, dense, snapshots };
}

interface HeadsToTell {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly model: ReturnType<typeof modelNameFrom>;
  readonly publisher: BatchPublisher;
  readonly intake: EventIntake;
  readonly counters: LearningCounters;
}

function tellHeadsOf({ bus, clock, model, publisher, intake, counters }: HeadsToTell): void {
  const { partitions, dense } = publisher.heads;
  const heads = { model, timeMs: clock.now(), partitions, dense, counters };
  bus.notify(headsSubject(model), encodeHeads(heads));
  intake.forgetRejections();
}

/** Appends a tick when impressions wait and nothing has come for a second. */
function tellTime(
  intake: EventIntake,
  { bus, clock, logger }: ModelUpdaterOptions,
  model: ReturnType<typeof modelNameFrom>,
): void {
  if (!intake.waits || clock.monotonicMs() - intake.lastEventMs < tickAfterMs) return;
  intake.noteTick();
  bus
    .append('events', eventsSubject(model), encodeEvent({ type: 'tick', timeMs: clock.now() }))
    .catch((error: unknown) => logger.warn({ err: error }, 'tick not stored'));
}
