/**
 * What each way of making a model smaller costs and saves, on one log:
 *
 *   file    [ learned ································ | held out ]
 *                       ^ pruned here, and fine-tuned on to the end of the learned part
 *
 * The model learns the first part as it would in service, example after example. A student net learns beside it, from the labels
 * and the scores that were given before each example was learned; pruned nets do so from the point on where they are cut. The held-out end
 * is then scored by every method, the same batches with nothing learned in between.
 */
import type { QualityReport } from '@millrace/core';
import { createRowReader, type LocalLearner, measureSplit, type SplitSpeeds } from '@millrace/learner';
import { hiddenUnitsOf } from '@millrace/model';
import { type Example, fileInvalid, type LogReport } from '../log-file/index.ts';
import { eachExample, type LogInput } from '../training/each-example.ts';
import { addExample, scoredAtOnce } from '../training/judged-batches.ts';
import { labelLessonsOf } from '../training/label-lessons.ts';
import { type Candidate, createCandidate, createJudges } from './candidates.ts';
import { forwardTimes, readTimes, type Timing } from './forward-time.ts';
import { createLogRequests, type LogRequests } from './log-requests.ts';
import { applies, compressibleFrom, type MethodName, methods, uncompressed } from './methods.ts';
import { copiesOf, type RowCopies, rowBytes } from './row-copies.ts';
import { openSmallerNets, type SmallerNets, type SmallerNetsOptions, type Taught } from './smaller-nets.ts';

export interface CompressOptions {
  /** The caller disposes it. */
  readonly learner: LocalLearner;
  readonly log: LogInput;
  readonly methods: readonly MethodName[];
  readonly parameters: CompressParameters;
  readonly timing: Timing;
  readonly onProgress: (done: number, total: number, note: string) => void;
  /** Told of each method that changes nothing of this model. */
  readonly onSkip: (method: MethodName) => void;
}

export interface CompressParameters extends Omit<SmallerNetsOptions, 'wanted'> {
  /** Share of the file, from its end, that is held out. */
  readonly holdout: number;
  /** Share of the learned part, from its end, by which pruned nets are fine-tuned. */
  readonly fineTune: number;
  /** Examples of one step. */
  readonly batch: number;
  /** Items of the requests that splitting is timed with. */
  readonly candidates: number;
}

export interface MethodResult {
  readonly method: MethodName | 'none';
  readonly rowBytes: number;
  readonly denseBytes: number;
  readonly quality: QualityReport;
  /** Hidden units of its net. */
  readonly units: readonly number[];
  /** Of one forward pass, ms (forward-time.ts). */
  readonly forwardMs: number;
  /** Of reading the rows of that batch, ms. */
  readonly readMs: number;
  /** Of requests from features to scores; null where the method splits none. */
  readonly split: SplitSpeeds | null;
  readonly candidate: Candidate;
}

export interface CompressResult {
  readonly learned: number;
  readonly heldOut: number;
  /** Rows of the batch that was timed. */
  readonly timedRows: number;
  readonly results: readonly MethodResult[];
  readonly log: LogReport;
  dispose(): void;
}

/** What is given of an example that nothing is learned of. */
const scored = { shown: 1, clicked: 0, offset: 0 };
/** Requests that splitting is timed with, and how long a turn of them lasts at most. */
const splitRequests = 100;
const splitTurnSeconds = 0.03;

/** @throws MILL_FILE_INVALID, MILL_FEATURE_INVALID */
export async function runCompress(options: CompressOptions): Promise<CompressResult> {
  const { learner, log, parameters, timing, onProgress } = options;
  const { file, shape } = learner.net;
  const progressOf = (reading: number, note: string) => (read: number, total: number) =>
    onProgress(reading * total + read, 2 * total, note);
  const { records } = await eachExample(file, log, progressOf(0, 'counting'), () => undefined);
  const heldOut = Math.floor(records * parameters.holdout);
  const learned = records - heldOut;
  if (heldOut < 1 || learned < 1) {
    const wanted = `enough records to learn from and to hold ${parameters.holdout} of them out`;
    throw fileInvalid({ file: log.path }, wanted, `${records}`);
  }
  const compressible = compressibleFrom(file, shape.parameters);
  const names = options.methods.filter((name) => {
    const does = applies(name, compressible);
    if (!does) options.onSkip(name);
    return does;
  });
  const wanted = new Set(names.map((name) => methods[name].net));
  const smaller = openSmallerNets(learner, { ...parameters, wanted });

  const batches = createBatches(learner, smaller, parameters.batch);
  // Of a short log by one example at least: a net that was never cut would be told as a pruned one.
  const pruneAt = Math.max(1, Math.floor(learned * (1 - parameters.fineTune)));
  let seen = 0;
  let judging: Judging | null = null;
  const report = await eachExample(file, log, progressOf(1, 'learning'), async (example) => {
    seen += 1;
    if (seen <= learned) {
      await batches.take(example, seen === learned || seen === pruneAt);
      if (seen === pruneAt) smaller.prune();
      return;
    }
    judging ??= startJudging(learner, smaller, names);
    await judging.take(example, seen === records);
  });
  if (judging === null || seen !== records) {
    throw fileInvalid(
      { file: log.path },
      `the ${records} records that it had`,
      `${seen}: it changed while it was read`,
    );
  }
  const { candidates, copies, requests, reports } = judging as Judging;

  const times = await forwardTimes(learner, candidates, timing);
  const readLearned = createRowReader(learner.states);
  const packed = [...copies].flatMap(([format, rows]) => (rows === null ? [] : [{ format, rows }]));
  const reads = await readTimes(
    learner,
    packed.map(({ rows }) => rows),
    () => readLearned(learner.space),
    timing,
  );
  const split = names.includes('split') ? await splitSpeeds(learner, requests, parameters, timing) : null;
  const qualities = reports();
  const bytes = rowBytes(learner.states);
  return {
    learned,
    heldOut,
    timedRows: learner.space.batch.rows,
    log: report,
    results: candidates.map((candidate, c) => ({
      method: candidate.name as MethodName | 'none',
      rowBytes: copies.get(candidate.method.rows)?.bytes ?? bytes,
      denseBytes: candidate.denseBytes,
      quality: qualities[c],
      units: hiddenUnitsOf(candidate.net.file),
      forwardMs: times[c],
      readMs: reads[1 + packed.findIndex(({ format }) => format === candidate.method.rows)],
      split: candidate.method.requests === 'split' ? split : null,
      candidate,
    })),
    dispose() {
      for (const { loaded } of candidates) loaded.dispose();
      smaller.dispose();
    },
  };
}

/** Batches that the learner learns, and after it the smaller nets. */
function createBatches(learner: LocalLearner, smaller: SmallerNets, batchExamples: number) {
  const lessons = labelLessonsOf(learner.net.file);
  const batch: Taught[] = [];
  return {
    async take(example: Example, isLast: boolean): Promise<void> {
      const lesson = lessons.lessonOf(example);
      if (lesson !== null) {
        addExample(learner, example, lesson);
        batch.push({ lesson, label: example.label });
      }
      if (batch.length === 0 || (batch.length < batchExamples && !isLast)) return;
      const running = learner.learn();
      if (running !== undefined) await running;
      const others = smaller.learn(batch);
      if (others !== undefined) await others;
      batch.length = 0;
    },
  };
}

interface Judging {
  readonly candidates: readonly Candidate[];
  readonly copies: ReadonlyMap<string, RowCopies | null>;
  readonly requests: LogRequests;
  take(example: Example, isLast: boolean): Promise<void>;
  reports(): readonly QualityReport[];
}

/** Freezes what has been learned and scores batches by each method. */
function startJudging(learner: LocalLearner, smaller: SmallerNets, names: readonly MethodName[]): Judging {
  const candidates = [
    createCandidate('none', uncompressed, learner.net),
    ...names.map((name) => {
      const method = methods[name];
      return createCandidate(name, method, smaller.nets.get(method.net)?.net ?? learner.net);
    }),
  ];
  const copies = copiesOf(
    learner.states,
    candidates.map(({ method }) => method.rows),
  );
  const judges = createJudges(learner, candidates, copies);
  const requests = createLogRequests(learner.net.file.seed);
  const batch: Example[] = [];
  return {
    candidates,
    copies,
    requests,
    reports: judges.reports,
    async take(example, isLast) {
      addExample(learner, example, scored);
      batch.push(example);
      requests.take(example);
      if (batch.length < scoredAtOnce && !isLast) return;
      await learner.score();
      await judges.judge(batch);
      batch.length = 0;
    },
  };
}

function splitSpeeds(
  { net, states }: LocalLearner,
  requests: LogRequests,
  { candidates }: CompressParameters,
  { rounds, nowMs }: Timing,
): Promise<SplitSpeeds> {
  return measureSplit(net, states, requests.draw(splitRequests, candidates), {
    turns: rounds,
    turnSeconds: splitTurnSeconds,
    seconds: () => nowMs() / 1_000,
  });
}
