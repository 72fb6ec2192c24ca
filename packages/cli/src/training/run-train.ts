/**
 * Many passes over a log. The last share of the file, the newest in a log in time order, is held out: after each pass it is
 * scored and never learned. Passes go on while that gets better; the state of the best one is kept.
 *
 *   file    [ learned, example after example ··········· | held out ]      a pass reads it once from end to end
 *   stop    `patience` passes in a row were no better than the best, or all passes are done
 */
import { createProgressiveQuality, partitionRows, type QualityReport } from '@millrace/core';
import { type LocalLearner, learnedHash } from '@millrace/learner';
import { fileInvalid, type LogReport } from '../log-file/index.ts';
import { codeVersion } from './code-version.ts';
import { eachExample, type LogInput } from './each-example.ts';
import { fileIdentity } from './file-identity.ts';
import { createJudgedBatches, scoredAtOnce } from './judged-batches.ts';
import type { PassFigures, TrainParameters, TrainRecord } from './train-record.ts';

export interface TrainOptions {
  /** The caller disposes it. */
  readonly learner: LocalLearner;
  readonly log: LogInput;
  readonly parameters: TrainParameters;
  /** Bytes read of all that may be read: one reading to count and one a pass. */
  readonly onProgress: (done: number, total: number, note: string) => void;
  readonly onPass: (figures: PassFigures, isBest: boolean) => void;
  /** Keeps the learner's state of now, the best so far; called between two steps. */
  readonly save: (record: TrainRecord) => Promise<void>;
}

export interface TrainResult {
  readonly record: TrainRecord;
  /** What was used and skipped of the log. */
  readonly log: LogReport;
}

/** @throws MILL_FILE_INVALID, MILL_FEATURE_INVALID */
export async function runTrain(options: TrainOptions): Promise<TrainResult> {
  const { learner, log, parameters, onProgress } = options;
  const { file, dense } = learner.net;
  const readings = parameters.passes + 1;
  const data = await fileIdentity(log.path);
  const progressOf = (reading: number) => (read: number, total: number) =>
    onProgress(reading * total + read, readings * total, reading === 0 ? 'counting' : `pass ${reading}`);
  const report = await eachExample(file, log, progressOf(0), () => undefined);
  const holdoutExamples = Math.floor(report.records * parameters.holdout);
  const split = { trainExamples: report.records - holdoutExamples, holdoutExamples };
  refuseEmpty(log.path, parameters.holdout, split);

  const code = codeVersion();
  const passes: PassFigures[] = [];
  let best = 0;
  let stateHash = '';
  let rows = 0;
  const recordNow = (): TrainRecord => ({
    model: file.name,
    code,
    data: { ...data, ...split },
    parameters,
    passes: [...passes],
    bestPass: best,
    rows,
    stateHash,
  });
  while (passes.length < parameters.passes && passes.length - best < parameters.patience) {
    const pass = passes.length + 1;
    const figures = await runPass(options, pass, split, progressOf(pass));
    passes.push(figures);
    const isBest = isBetter(figures, passes[best - 1]);
    options.onPass(figures, isBest);
    if (!isBest) continue;
    best = pass;
    stateHash = learnedHash(learner.states, dense);
    rows = learner.states.reduce((sum, state) => sum + partitionRows(state), 0);
    await options.save(recordNow());
  }
  return { record: recordNow(), log: report };
}

interface Split {
  readonly trainExamples: number;
  readonly holdoutExamples: number;
}

async function runPass(
  { learner, log, parameters }: TrainOptions,
  pass: number,
  { trainExamples, holdoutExamples }: Split,
  onProgress: (read: number, total: number) => void,
): Promise<PassFigures> {
  const qualities = { train: createProgressiveQuality(), holdout: createProgressiveQuality() };
  const training = createJudgedBatches({
    learner,
    batchExamples: parameters.batch,
    quality: qualities.train,
    use: 'learn',
  });
  const held = createJudgedBatches({
    learner,
    batchExamples: scoredAtOnce,
    quality: qualities.holdout,
    use: 'score',
  });
  let seen = 0;
  const { records } = await eachExample(learner.net.file, log, onProgress, (example) => {
    seen += 1;
    if (seen > trainExamples) return held.take(example);
    const taken = training.take(example);
    if (seen < trainExamples) return taken;
    return taken === undefined ? training.end() : taken.then(() => training.end());
  });
  await held.end();
  if (records !== trainExamples + holdoutExamples) {
    const wanted = `the ${trainExamples + holdoutExamples} records that it had`;
    throw fileInvalid({ file: log.path }, wanted, `${records}: it changed while it was read`);
  }
  const train = qualities.train.report();
  const holdout = qualities.holdout.report();
  return {
    pass,
    trainLogloss: figureOf(train, 'logloss'),
    trainAuc: figureOf(train, 'auc'),
    holdoutLogloss: figureOf(holdout, 'logloss'),
    holdoutAuc: figureOf(holdout, 'auc'),
  };
}

/** Without a tail to judge by, the newest pass is the best. */
function isBetter(figures: PassFigures, best: PassFigures | undefined): boolean {
  if (best === undefined || figures.holdoutLogloss === null || best.holdoutLogloss === null) return true;
  return figures.holdoutLogloss < best.holdoutLogloss;
}

/** Six decimals, so that a record reads well; null for what JSON has no number for. */
function figureOf(report: QualityReport, name: 'logloss' | 'auc'): number | null {
  return Number.isFinite(report[name]) ? Number(report[name].toFixed(6)) : null;
}

function refuseEmpty(path: string, holdout: number, { trainExamples, holdoutExamples }: Split): void {
  if (trainExamples > 0 && (holdout === 0 || holdoutExamples > 0)) return;
  const wanted = `enough records to learn from and to hold ${holdout} of them out`;
  throw fileInvalid({ file: path }, wanted, `${trainExamples + holdoutExamples}`);
}
