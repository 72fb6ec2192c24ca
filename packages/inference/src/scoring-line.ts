/**
 * One net that takes requests: the live line of a model, or one of its versions. It has batches of its own, so that all of a
 * batch is computed by the same weights. The life of a batch:
 *
 *   requests → keys (encoder) → rows (pull, once a key) → pooled inputs → net at one dense version → scores
 */
import { createReadMarks, pullTables, type ReadMarks, type RowSource } from '@millrace/client';
import type { Staleness } from '@millrace/core';
import {
  type BatchSpace,
  createBatchSpace,
  createFeatureEncoder,
  type DenseVersion,
  type FeatureEncoder,
  type FeaturePlan,
  type Program,
  resetSpace,
  scoreSpace,
  tablesToPull,
} from '@millrace/model';
import { isMillraceError, MillraceError, type ModelFile, partitionsDefault } from '@millrace/protocol';
import type { Clock } from '@millrace/runtime';
import type { BatchShapes } from './batch-shapes.ts';
import { type Batcher, type BatchingLimits, createBatcher, type Ticket } from './batcher.ts';
import { createReadTrace } from './read-trace.ts';
import type { Scored, ScoreInput } from './scored.ts';
import { noteAnswered, noteFailed, type ServedCounts } from './served-counts.ts';
import { batchSpanOf, type Span, spanning } from './tracing/span.ts';

export interface ScoringLine {
  readonly batcher: Batcher<ScoreInput, Scored>;
  /** Runs `work` between two forward passes. */
  inTurn<T>(work: () => T | Promise<T>): Promise<T>;
  /** Answers what was taken, takes no more, and resolves once no pass runs. */
  close(): Promise<void>;
}

export interface ScoringLineOptions {
  readonly clock: Clock;
  readonly rows: RowSource;
  readonly limits: BatchingLimits;
  /** As BatcherOptions.unreadMs. */
  readonly unreadMs?: () => number;
  readonly net: { readonly file: ModelFile; readonly plan: FeaturePlan; readonly program: Program };
  /** The weights of the next pass. */
  readonly dense: () => DenseVersion;
  /** Runs before each pass, between two of them. */
  readonly beforePass?: () => void;
  /** Puts the weights before in the place of the present ones, on trial (model, dense-versions.ts). Absent: there are none. */
  readonly revert?: () => ((keep: boolean) => void) | null;
  /** Requests whose scores were no numbers by the present weights: `taken back` where earlier ones took their place. */
  readonly onNotFinite?: (requests: number, outcome: 'taken back' | 'refused') => void;
  /** Of the model's rows; all its lines share these. */
  readonly staleness: Staleness;
  readonly counts: ServedCounts;
  readonly shapes: BatchShapes;
}

export function createScoringLine(options: ScoringLineOptions): ScoringLine {
  const { net, clock, limits } = options;
  const lanes = Array.from({ length: limits.lanes }, () => ({
    space: createBatchSpace(net.plan),
    marks: createReadMarks(),
  }));
  const runner = createRunner(options, createFeatureEncoder(net.plan));
  const batcher = createBatcher<ScoreInput, Scored>(
    limits,
    clock,
    (lane, tickets) => runner.run(lanes[lane], tickets),
    { refusalOf: refusalOfGone, ...(options.unreadMs && { unreadMs: options.unreadMs }) },
  );
  return {
    batcher,
    inTurn: runner.inTurn,
    async close() {
      await batcher.close();
      await runner.settled();
    },
  };
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

/** Runs batches. Engine calls and swaps go through one chain, so a swap always falls between two forward passes. */
function createRunner(options: ScoringLineOptions, encoder: FeatureEncoder) {
  const { clock, rows, net, staleness, counts, shapes } = options;
  const model = net.file.name;
  const trace = createReadTrace(net.plan.tables.length, net.file.partitions ?? partitionsDefault);
  let chain: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => T | Promise<T>): Promise<T> => {
    const result = chain.then(work);
    chain = result.catch(() => {});
    return result;
  };

  const pass = async (space: BatchSpace) => {
    const { version, loaded, scales } = options.dense();
    if (await scoreSpace(net.program, loaded, scales, space)) counts.passesBeside += 1;
    return version;
  };
  const finitePass = async (space: BatchSpace, encoded: readonly EncodedTicket[]) => {
    options.beforePass?.();
    const version = await pass(space);
    const failed = withoutNumbers(space, encoded);
    if (failed === 0) return version;
    const end = options.revert?.() ?? null;
    let before = version;
    let isWeights = false;
    try {
      if (end !== null) before = await pass(space);
      // Where the weights before make numbers of the same features it was the weights; else it was the features.
      isWeights = end !== null && withoutNumbers(space, encoded) === 0;
    } finally {
      // A trial ends however its pass does.
      end?.(isWeights);
    }
    options.onNotFinite?.(failed, isWeights ? 'taken back' : 'refused');
    if (isWeights || end === null) return before;
    return await pass(space);
  };
  const forward = (space: BatchSpace, encoded: readonly EncodedTicket[], span: Span | undefined) =>
    inTurn(() => spanning(span, 'forward', () => finitePass(space, encoded)));

  const run = async ({ space, marks }: Lane, tickets: readonly Ticket<ScoreInput, Scored>[]) => {
    const span = batchSpanOf(tickets);
    const leftMs = clock.monotonicMs();
    let encoded: readonly EncodedTicket[] = [];
    const fail = ({ ticket }: EncodedTicket, error: unknown) => {
      noteFailed(counts, clock.monotonicMs() - ticket.sinceMs);
      ticket.reject(error);
    };
    try {
      resetSpace(space);
      marks.count = 0;
      const { knownItems } = encoder;
      encoded = encodeTickets(encoder, space, tickets);
      counts.knownItems += encoder.knownItems - knownItems;
      if (encoded.length === 0) return;
      shapes.note(space.batch.rows);
      span?.note({ 'millrace.model': model, 'millrace.rows': space.batch.rows });
      const { degraded } = await spanning(span, 'pull', () =>
        pullTables(rows, tablesToPull(space), { model, marks, onAbsent: 'default' }),
      );
      const pulledMs = clock.monotonicMs();
      const version = await forward(space, encoded, span);
      const forwardedMs = clock.monotonicMs();
      const { partitions, sequences, count } = marks;
      const stalenessMs = staleness.ofRead(partitions, sequences, count, forwardedMs);
      counts.batches += 1;
      counts.lastMs = clock.now();
      counts.stalenessMs = stalenessMs;
      trace.begin(marks);
      let answered = 0;
      let sinceMs = 0;
      for (const one of encoded) {
        const { ticket, from, occurrencesFrom, occurrencesTo } = one;
        if (hasNaN(space.logits, from, from + ticket.rows)) {
          fail(one, notFinite(model, version));
          continue;
        }
        answered += 1;
        sinceMs += ticket.sinceMs;
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
      const answeredMs = clock.monotonicMs();
      noteAnswered(counts, answered, sinceMs, { leftMs, pulledMs, forwardedMs, answeredMs });
    } catch (error) {
      for (const one of encoded) fail(one, error);
      // Settling a ticket twice does nothing, so those that were refused for their features stay so.
      for (const ticket of tickets) ticket.reject(error);
      span?.note({ 'error.type': isMillraceError(error) ? error.code : 'MILL_INTERNAL' });
    } finally {
      span?.end();
    }
  };

  return { run, inTurn, settled: () => chain };
}

interface EncodedTicket {
  readonly ticket: Ticket<ScoreInput, Scored>;
  /** First row of its items in the batch. */
  readonly from: number;
  /** By table its run of the batch's occurrences. */
  readonly occurrencesFrom: readonly number[];
  readonly occurrencesTo: readonly number[];
}

/** Requests of a batch that have a logit that is no number. */
function withoutNumbers({ logits }: BatchSpace, encoded: readonly EncodedTicket[]): number {
  let count = 0;
  for (const { ticket, from } of encoded) if (hasNaN(logits, from, from + ticket.rows)) count += 1;
  return count;
}

function hasNaN(values: Float32Array, from: number, to: number): boolean {
  for (let i = from; i < to; i += 1) if (Number.isNaN(values[i])) return true;
  return false;
}

function notFinite(model: string, version: number): MillraceError {
  return new MillraceError(
    'MILL_SCORES_NOT_FINITE',
    `model "${model}" makes scores of this request that are no numbers, with dense weights of sequence ${version}`,
  );
}

/** Encodes each request's items; one with a bad feature is refused and leaves its rows unread. */
function encodeTickets(
  encoder: FeatureEncoder,
  space: BatchSpace,
  tickets: readonly Ticket<ScoreInput, Scored>[],
): readonly EncodedTicket[] {
  const encoded: EncodedTicket[] = [];
  encoder.expect(
    space.batch,
    tickets.reduce((rows, ticket) => rows + ticket.rows, 0),
  );
  for (const ticket of tickets) {
    const from = space.batch.rows;
    const occurrencesFrom = occurrencesOf(space);
    const { user, context, items } = ticket.request;
    try {
      encoder.beginRequest(user, context);
      encoder.addItems(space.batch, items);
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
