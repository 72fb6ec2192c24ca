/**
 * What online learning would have given on a log: each event is scored by the model as it was, then learned from, strictly in
 * this order, by the kernels that learn in a cluster (package learner).
 */
import { createProgressiveQuality, partitionRows, type QualityReport } from '@millrace/core';
import { type LocalLearner, learnedHash } from '@millrace/learner';
import type { LogReport } from '../log-file/index.ts';
import { eachExample, type LogInput, type OnProgress } from '../training/each-example.ts';
import { createJudgedBatches, scoredAtOnce } from '../training/judged-batches.ts';

export interface BacktestOptions {
  /** Learns on from what it has learned; the caller disposes it. */
  readonly learner: LocalLearner;
  readonly log: LogInput;
  /** Scored after the log, without learning. */
  readonly test: LogInput | null;
  /** Events that are scored before they are learned together, in one gradient step. */
  readonly batchExamples: number;
  readonly onProgress: OnProgress;
}

export interface BacktestResult {
  readonly events: number;
  readonly quality: QualityReport;
  readonly test: QualityReport | null;
  /** What was used and skipped of the log, and of the other one. */
  readonly log: LogReport;
  readonly testLog: LogReport | null;
  readonly rows: number;
  readonly learned: number;
  readonly engine: string;
  /** SHA-256 over rows, optimizer state and dense weights at the end: equal for equal input. */
  readonly stateHash: string;
}

/** @throws MILL_FILE_INVALID, MILL_FEATURE_INVALID */
export async function runBacktest(options: BacktestOptions): Promise<BacktestResult> {
  const { learner, onProgress } = options;
  const { net, states } = learner;
  const judged = async (input: LogInput, use: 'learn' | 'score', batchExamples: number) => {
    const quality = createProgressiveQuality();
    const batches = createJudgedBatches({ learner, batchExamples, quality, use });
    const log = await eachExample(net.file, input, onProgress, (example) => batches.take(example));
    await batches.end();
    return { log, quality: quality.report(), learned: batches.learned };
  };
  const { log, quality, learned } = await judged(options.log, 'learn', options.batchExamples);
  const test = options.test === null ? null : await judged(options.test, 'score', scoredAtOnce);
  return {
    events: log.records,
    quality,
    test: test?.quality ?? null,
    log,
    testLog: test?.log ?? null,
    rows: states.reduce((rows, state) => rows + partitionRows(state), 0),
    learned,
    engine: net.engine.name,
    stateHash: learnedHash(states, net.dense),
  };
}
