/**
 * One model as a node serves it: the live line, whose dense weights follow the log, and its versions, whose weights stay. All
 * read the same rows.
 */
import { type DenseFollower, followDense, type RowSource } from '@millrace/client';
import { createStaleness } from '@millrace/core';
import {
  type EngineName,
  type EngineWork,
  type OpenNet,
  openFrozenNet,
  openNet,
  warmUp,
} from '@millrace/model';
import { type LogHeads, MillraceError, type ModelFile, type VersionRecord } from '@millrace/protocol';
import { denseFloatsOf, type VersionRegistry, type VersionsView } from '@millrace/registry';
import type { Bus, Clock, Logger } from '@millrace/runtime';
import type { Archive } from '@millrace/snapshot';
import { createBatchShapes } from './batch-shapes.ts';
import type { Batcher, BatchingLimits } from './batcher.ts';
import { type MeasuresView, openMeasuresView } from './measures-view.ts';
import { nextTurn } from './next-turn.ts';
import type { Scored, ScoreInput } from './scored.ts';
import { createScoringLine, type ScoringLineOptions } from './scoring-line.ts';
import { createServedCounts, type ServedCounts } from './served-counts.ts';
import { type ServedVersions, serveVersions, type VersionLine } from './served-versions.ts';

export interface ServedModel {
  /** Of the live line. */
  readonly net: OpenNet;
  readonly batcher: Batcher<ScoreInput, Scored>;
  readonly versions: ServedVersions;
  /** Newest heads told by the updater, null before the first. */
  heads: LogHeads | null;
  /** Of all lines. */
  readonly counts: ServedCounts;
  /** Items that wait, of all lines. */
  readonly queueRows: number;
  /** What its updater tells of how well it does. */
  readonly measures: MeasuresView;
  /** Takes heads that just came. */
  noteHeads(heads: LogHeads): void;
  /** Makes the newest dense weights those of the live line, between two batches. */
  refresh(): Promise<void>;
  /** True once the dense log has been followed to the head it had at start, and wanted versions are loaded. */
  readonly ready: boolean;
  close(): Promise<void>;
}

export interface ServedModelOptions {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly rows: RowSource;
  /** Where snapshots of dense weights are; null: nowhere. */
  readonly archive: Archive | null;
  readonly engine: 'auto' | EngineName;
  /** As OpenNetOptions.isBusy. */
  readonly isBusy?: () => boolean;
  readonly limits: BatchingLimits;
  /** As BatcherOptions.unreadMs. */
  readonly unreadMs?: () => number;
  /** How often new dense weights are looked for, ms; 0: before every batch. */
  readonly swapEveryMs: number;
  /**
   * Between two steps of opening a version, ms, so that a request that is under way meets one of them and not several; 0: a turn of
   * the event loop. Default 6.
   */
  readonly stepPauseMs?: number;
  readonly versions: VersionsView;
  readonly registry: Pick<VersionRegistry, 'weightsOf'>;
  /** Weights were taken back: what they made of so many requests was no number. */
  readonly onNotFinite?: (requests: number) => void;
  readonly onFailed: (error: Error) => void;
  /** Told once the engine is chosen. */
  readonly onOpened?: (net: OpenNet) => void;
  /** Reads the file of an imported net. @throws MILL_FILE_INVALID */
  readonly readNet?: (file: string) => Promise<Uint8Array>;
}

/** Batches by which `auto` chooses an engine: one item, a request, several of them. */
export const scoringWork: EngineWork = { kind: 'scores', rows: [1, 32, 128] };

export async function serveModel(file: ModelFile, options: ServedModelOptions): Promise<ServedModel> {
  const { bus, clock, logger, isBusy } = options;
  /** Engines are measured by what this thread takes. */
  let opened = false;
  const net = await openNet(file, {
    wanted: options.engine,
    work: scoringWork,
    ...(isBusy && { isBusy: () => opened && isBusy() }),
    ...(options.readNet && { readNet: options.readNet }),
    onSkip: (engine, reason) => logger.info({ engine, reason }, 'engine skipped'),
  });
  logger.info(
    { model: file.name, engine: net.engine.name, ...net.choice, parameters: net.shape.parameters },
    'model opened',
  );
  opened = true;
  options.onOpened?.(net);
  const staleness = createStaleness();
  const counts = createServedCounts();
  const shapes = createBatchShapes(options.limits.rowsMax);
  const { rows, limits, unreadMs } = options;
  const shared = { clock, rows, limits, ...(unreadMs && { unreadMs }), staleness, counts, shapes };
  const swaps = createSwaps(net, options);
  const line = createScoringLine({
    ...shared,
    net,
    dense: () => net.versions.current,
    revert: () => net.versions.revert(),
    onNotFinite(requests, outcome) {
      logger.error({ model: file.name, requests, outcome }, 'scores that are no numbers');
      if (outcome === 'taken back') options.onNotFinite?.(requests);
    },
    ...(options.swapEveryMs === 0 && { beforePass: swaps.now }),
  });
  const refresh = () => line.inTurn(swaps.now);
  let caught = false;
  const follower: DenseFollower = await followDense({
    bus,
    archive: options.archive,
    state: net.dense,
    logger,
    onFailed: options.onFailed,
  });
  const caughtUp = follower.caughtUp.then(async () => {
    await refresh();
    caught = true;
  });
  if (net.shape.denseParameters === 0) await caughtUp;
  else caughtUp.catch(options.onFailed);
  const measures = await openMeasuresView({ bus, logger, model: file.name, onFailed: options.onFailed });
  const versions = serveVersions({
    model: file.name,
    view: options.versions,
    clock,
    logger,
    onFailed: options.onFailed,
    live: {
      number: null,
      engine: net.engine.name,
      batcher: line.batcher,
      get denseSequence() {
        return net.versions.current.version;
      },
    },
    open: (record) => openVersion(record, options, { ...shared, beside: net }),
  });
  const stopSwapping = swaps.start((swap) => line.inTurn(swap));

  const served: ServedModel = {
    net,
    batcher: line.batcher,
    versions,
    heads: null,
    counts,
    get queueRows() {
      return [...versions.lines].reduce(
        (sum, { batcher }) => sum + batcher.queueRows,
        line.batcher.queueRows,
      );
    },
    measures,
    noteHeads(heads) {
      served.heads = heads;
      staleness.note(heads.partitions, clock.monotonicMs());
    },
    refresh,
    get ready() {
      return caught && versions.settled;
    },
    async close() {
      await stopSwapping();
      await versions.close();
      await line.close();
      await follower.close();
      await measures.close();
      net.dispose();
    },
  };
  return served;
}

/** Long enough for what a step has held up to be answered before the next: nobody waits for a version as for an answer. */
const stepPauseMsDefault = 6;

/** The live line's swaps: now, or every so often with all but the assignment done while batches go on. */
function createSwaps(net: OpenNet, { clock, logger, swapEveryMs, onFailed }: ServedModelOptions) {
  const model = net.file.name;
  const tell = (outcome: string) => {
    if (outcome === 'refused')
      logger.error({ model, version: net.dense.sequence }, 'dense version refused: not finite');
  };
  return {
    now: () => tell(net.versions.refresh()),
    /** @param between runs the assignment between two passes. @returns what ends it. */
    start(between: (swap: () => void) => Promise<void>): () => Promise<void> {
      let closed = false;
      let wake = () => {};
      const turn = () =>
        new Promise<void>((resolve) => {
          const pause = clock.setTimer(0, resolve);
          wake = () => {
            pause.cancel();
            resolve();
          };
          if (closed) wake();
        });
      let swapping: Promise<void> = Promise.resolve();
      let timer = { cancel() {} };
      const swap = async () => {
        const outcome = await net.versions.prepare(turn);
        tell(outcome);
        if (outcome === 'ready') await between(net.versions.swap);
        schedule();
      };
      const schedule = () => {
        if (swapEveryMs === 0 || closed) return;
        timer = clock.setTimer(swapEveryMs, () => {
          swapping = swap().catch(onFailed);
        });
      };
      schedule();
      return async () => {
        closed = true;
        timer.cancel();
        wake();
        await swapping;
      };
    },
  };
}

type SharedByLines = Omit<ScoringLineOptions, 'net' | 'dense'>;

/**
 * A version that can answer: its weights read and checked, its net opened and warmed up at the batch sizes in use.
 * @throws MILL_VERSION_DAMAGED, MILL_STORE_UNAVAILABLE, MILL_ENGINE_UNAVAILABLE
 */
async function openVersion(
  record: VersionRecord,
  { registry, clock, engine, logger, readNet, stepPauseMs = stepPauseMsDefault }: ServedModelOptions,
  { beside, ...shared }: SharedByLines & { readonly beside: OpenNet },
): Promise<VersionLine> {
  // Checked by the registry when it was made; a damaged one is stopped by its weights.
  const { model, version, file } = record;
  const pause = () =>
    stepPauseMs === 0
      ? nextTurn()
      : new Promise<void>((resolve) => void clock.setTimer(stepPauseMs, resolve));
  await pause();
  const weights = await registry.weightsOf(record);
  await pause();
  if (weights.length !== denseFloatsOf(file))
    throw new MillraceError(
      'MILL_VERSION_DAMAGED',
      `version ${version} of "${model}": wanted ${denseFloatsOf(file)} floats for its net, found ${weights.length}`,
    );
  const net = await openFrozenNet(file, weights, record.sequences.dense, {
    wanted: engine,
    work: scoringWork,
    ...(readNet && { readNet }),
    onSkip: (name, reason) => logger.info({ engine: name, reason }, 'engine skipped'),
    beside,
    turn: pause,
  });
  try {
    for (const rows of shared.shapes.inUse()) {
      await pause();
      if (await warmUp(net, rows)) continue;
      throw new MillraceError(
        'MILL_VERSION_DAMAGED',
        `version ${version} of "${model}" scores what is no number`,
      );
    }
  } catch (error) {
    net.dispose();
    throw error;
  }
  await pause();
  const line = createScoringLine({ ...shared, net, dense: () => net.dense });
  return {
    number: version,
    engine: net.engine.name,
    batcher: line.batcher,
    denseSequence: record.sequences.dense,
    async close() {
      await line.close();
      net.dispose();
    },
  };
}
