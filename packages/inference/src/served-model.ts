/**
 * One model as a node serves it, and the life of a batch:
 *
 *   requests → keys (encoder) → rows (pull, once a key) → pooled inputs → net at one dense version → scores
 */
import {
  createReadMarks,
  type DenseFollower,
  followDense,
  pullTables,
  type ReadMarks,
  type RowSource,
} from '@millrace/client';
import { createStaleness, type Staleness } from '@millrace/core';
import {
  type BatchSpace,
  createBatchSpace,
  createFeatureEncoder,
  type EngineName,
  type FeatureEncoder,
  gatherSpace,
  type OpenNet,
  openNet,
  resetSpace,
  tablesToPull,
} from '@millrace/model';
import {
  type Features,
  isMillraceError,
  type LogHeads,
  MillraceError,
  type ModelFile,
  partitionsDefault,
} from '@millrace/protocol';
import type { Bus, Clock, Logger } from '@millrace/runtime';
import type { Archive } from '@millrace/snapshot';
import { type Batcher, type BatchingLimits, createBatcher, type Ticket } from './batcher.ts';
import { type MeasuresView, openMeasuresView } from './measures-view.ts';
import { createReadTrace } from './read-trace.ts';
import type { Caller } from './scoring-service.ts';
import { batchSpanOf, type Span, spanning } from './tracing/span.ts';

export interface ScoreInput {
  readonly user: Features;
  readonly context: Features;
  readonly items: readonly Features[];
  /** Wants to know where its rows were read: true when its scores are logged. */
  readonly traced?: boolean;
  /** Wants logits, and how sure they are: true when an order is drawn from them. */
  readonly ranked?: boolean;
  /** Who waits; nothing is computed for one who has gone. */
  readonly caller?: Caller | undefined;
}

export interface Scored {
  /** Probabilities in item order; the caller's to keep. */
  readonly scores: Float32Array;
  readonly version: number;
  readonly stalenessMs: number | null;
  /** True when first values stood in for some rows of its batch. */
  readonly degraded: boolean;
  /** Where its rows were read (protocol/read-log.ts); null unless it was asked for. */
  readonly reads: Uint8Array | null;
  /** Behind the scores, float32[items]; empty unless it was asked for. */
  readonly logits: Float32Array;
  /** Of the logits, float32[items]; null unless it was asked for and tables keep a precision. */
  readonly variances: Float32Array | null;
}

export interface ServedCounts {
  /** Items scored, and the batches they came in. */
  scored: number;
  batches: number;
  degraded: number;
  /** When the newest batch ended, Unix ms; null before the first. */
  lastMs: number | null;
  /** Of the newest batch; null before the first, or before an updater told its heads. */
  stalenessMs: number | null;
}

export interface ServedModel {
  readonly net: OpenNet;
  readonly batcher: Batcher<ScoreInput, Scored>;
  /** Newest heads told by the updater, null before the first. */
  heads: LogHeads | null;
  readonly counts: ServedCounts;
  /** What its updater tells of how well it does. */
  readonly measures: MeasuresView;
  /** Takes heads that just came. */
  noteHeads(heads: LogHeads): void;
  /** Makes the newest dense weights the served version, between two batches. */
  refresh(): Promise<void>;
  /** True once the dense log has been followed to the head it had at start. */
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
  readonly limits: BatchingLimits;
  /** How often new dense weights are looked for, ms; 0: before every batch. */
  readonly swapEveryMs: number;
  readonly onFailed: (error: Error) => void;
}

export async function serveModel(file: ModelFile, options: ServedModelOptions): Promise<ServedModel> {
  const { bus, clock, logger } = options;
  const net = await openNet(file, {
    wanted: options.engine,
    onSkip: (engine, reason) => logger.info({ engine, reason }, 'engine skipped'),
  });
  logger.info(
    { model: file.name, engine: net.engine.name, parameters: net.shape.parameters },
    'model opened',
  );
  const staleness = createStaleness();
  const counts: ServedCounts = { scored: 0, batches: 0, degraded: 0, lastMs: null, stalenessMs: null };
  const lanes = Array.from({ length: options.limits.lanes }, () => ({
    space: createBatchSpace(net.plan),
    marks: createReadMarks(),
  }));
  const encoder = createFeatureEncoder(net.plan);
  const runner = createRunner({ net, encoder, staleness, counts, options });
  const batcher = createBatcher<ScoreInput, Scored>(
    options.limits,
    clock,
    (lane, tickets) => runner.run(lanes[lane], tickets),
    refusalOfGone,
  );
  let ready = false;
  const follower: DenseFollower = await followDense({
    bus,
    archive: options.archive,
    state: net.dense,
    logger,
    onFailed: options.onFailed,
  });
  const caughtUp = follower.caughtUp.then(async () => {
    await runner.refresh();
    ready = true;
  });
  if (net.shape.denseParameters === 0) await caughtUp;
  else caughtUp.catch(options.onFailed);

  const measures = await openMeasuresView({ bus, logger, model: file.name, onFailed: options.onFailed });

  const served: ServedModel = {
    net,
    batcher,
    heads: null,
    counts,
    measures,
    noteHeads(heads) {
      served.heads = heads;
      staleness.note(heads.partitions, clock.monotonicMs());
    },
    refresh: runner.refresh,
    get ready() {
      return ready;
    },
    async close() {
      swapTimer.cancel();
      await batcher.close();
      await follower.close();
      await measures.close();
      await runner.settled();
      net.dispose();
    },
  };
  const swap = () => {
    runner
      .refresh()
      .then(() => {
        swapTimer = clock.setTimer(options.swapEveryMs, swap);
      })
      .catch(options.onFailed);
  };
  let swapTimer = options.swapEveryMs > 0 ? clock.setTimer(options.swapEveryMs, swap) : { cancel() {} };
  return served;
}

/** Nobody would see what is computed for those who have gone, or whose time is up. */
function refusalOfGone({ caller }: ScoreInput): MillraceError | null {
  if (!caller?.gone) return null;
  return new MillraceError('MILL_TIMEOUT', 'not computed: nobody waits for the answer any more');
}

interface Lane {
  readonly space: BatchSpace;
  readonly marks: ReadMarks;
}

interface RunnerParts {
  readonly net: OpenNet;
  readonly encoder: FeatureEncoder;
  readonly staleness: Staleness;
  readonly counts: ServedCounts;
  readonly options: ServedModelOptions;
}

/** Runs batches. Engine calls and swaps go through one chain, so a swap always falls between two forward passes. */
function createRunner({ net, encoder, staleness, counts, options }: RunnerParts) {
  const { clock, logger, rows } = options;
  const model = net.file.name;
  const trace = createReadTrace(net.plan.tables.length, net.file.partitions ?? partitionsDefault);
  let chain: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => T | Promise<T>): Promise<T> => {
    const result = chain.then(work);
    chain = result.catch(() => {});
    return result;
  };
  const refreshNow = () => {
    const outcome = net.versions.refresh();
    if (outcome === 'refused')
      logger.error({ model, version: net.dense.sequence }, 'dense version refused: not finite');
  };

  const forward = (space: BatchSpace, span: Span | undefined) =>
    inTurn(() =>
      spanning(span, 'forward', async () => {
        if (options.swapEveryMs === 0) refreshNow();
        const { version, loaded, scales } = net.versions.current;
        const input = gatherSpace(space, scales);
        await net.program.forward(loaded, input, space.logits);
        return version;
      }),
    );

  const runBatch = async ({ space, marks }: Lane, tickets: readonly Ticket<ScoreInput, Scored>[]) => {
    const span = batchSpanOf(tickets);
    try {
      resetSpace(space);
      marks.count = 0;
      const encoded = encodeTickets(encoder, space, tickets);
      if (encoded.length === 0) return;
      span?.note({ 'millrace.model': model, 'millrace.rows': space.batch.rows });
      const { degraded } = await spanning(span, 'pull', () =>
        pullTables(rows, tablesToPull(space), { model, marks, onAbsent: 'default' }),
      );
      const version = await forward(space, span);
      const stalenessMs = staleness.ofRead(
        marks.partitions,
        marks.sequences,
        marks.count,
        clock.monotonicMs(),
      );
      counts.batches += 1;
      counts.lastMs = clock.now();
      counts.stalenessMs = stalenessMs;
      trace.begin(marks);
      for (const { ticket, from, occurrencesFrom, occurrencesTo } of encoded) {
        counts.scored += ticket.rows;
        if (degraded) counts.degraded += ticket.rows;
        const scores = probabilities(space.logits, from, ticket.rows);
        const reads = ticket.request.traced
          ? trace.readsOf(space.batch, occurrencesFrom, occurrencesTo)
          : null;
        const to = ticket.request.ranked ? from + ticket.rows : from;
        const logits = space.logits.slice(from, to);
        const variances = variancesOf(space)?.slice(from, to) ?? null;
        ticket.resolve({ scores, version, stalenessMs, degraded, reads, logits, variances });
      }
    } catch (error) {
      // Settling a ticket twice does nothing, so those that were refused for their features stay so.
      for (const ticket of tickets) ticket.reject(error);
      span?.note({ 'error.type': isMillraceError(error) ? error.code : 'MILL_INTERNAL' });
    } finally {
      span?.end();
    }
  };

  return {
    run: runBatch,
    refresh: () => inTurn(refreshNow),
    settled: () => chain,
  };
}

interface EncodedTicket {
  readonly ticket: Ticket<ScoreInput, Scored>;
  /** First row of its items in the batch. */
  readonly from: number;
  /** By table its run of the batch's occurrences. */
  readonly occurrencesFrom: readonly number[];
  readonly occurrencesTo: readonly number[];
}

/** Encodes each request's items; one with a bad feature is refused and leaves its rows unread. */
function encodeTickets(
  encoder: FeatureEncoder,
  space: BatchSpace,
  tickets: readonly Ticket<ScoreInput, Scored>[],
): readonly EncodedTicket[] {
  const encoded: EncodedTicket[] = [];
  for (const ticket of tickets) {
    const from = space.batch.rows;
    const occurrencesFrom = occurrencesOf(space);
    const { user, context, items } = ticket.request;
    try {
      encoder.beginRequest(user, context);
      for (let i = 0; i < items.length; i += 1) encoder.addItem(space.batch, items[i], i);
      encoded.push({ ticket, from, occurrencesFrom, occurrencesTo: occurrencesOf(space) });
    } catch (error) {
      if (!isMillraceError(error)) throw error;
      ticket.reject(error);
    }
  }
  return encoded;
}

function occurrencesOf({ batch }: BatchSpace): readonly number[] {
  return batch.tables.map(({ occurrences }) => occurrences);
}

/** What is answered for `count` logits from place `from`: float32 of 1 / (1 + e^−logit). */
export function probabilities(logits: Float32Array, from: number, count: number): Float32Array {
  const scores = new Float32Array(count);
  for (let i = 0; i < count; i += 1) scores[i] = 1 / (1 + Math.exp(-logits[from + i]));
  return scores;
}

/** Variances of the batch's logits, where tables keep a precision. */
function variancesOf({ plan, variances }: BatchSpace): Float32Array | null {
  return plan.hasVariance ? variances : null;
}
