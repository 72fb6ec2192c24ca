/**
 * What online learning would have given on a log: each event is scored by the model as it was, then learned from, strictly in
 * this order, by the kernels that learn in a cluster (package learner).
 */
import { createProgressiveQuality, partitionRows, type QualityReport } from '@millrace/core';
import { type LocalLearner, learnedHash } from '@millrace/learner';
import { eachExample } from '../training/each-example.ts';
import { createJudgedBatches } from '../training/judged-batches.ts';

export interface BacktestOptions {
  /** Learns on from what it has learned; the caller disposes it. */
  readonly learner: LocalLearner;
  readonly logPath: string;
  /** Scored after the log, without learning. */
  readonly testPath: string | undefined;
  /** Events that are scored before they are learned together, in one gradient step. */
  readonly batchExamples: number;
  readonly onProgress: (bytesRead: number, bytesTotal: number) => void;
}

export interface BacktestResult {
  readonly events: number;
  readonly quality: QualityReport;
  readonly test: QualityReport | null;
  readonly rows: number;
  readonly learned: number;
  readonly engine: string;
  /** SHA-256 over rows, optimizer state and dense weights at the end: equal for equal input. */
  readonly stateHash: string;
}

/** Events scored at once where nothing is learned in between. */
const scoredAtOnce = 256;

/** @throws MILL_FILE_INVALID, MILL_FEATURE_INVALID */
export async function runBacktest(options: BacktestOptions): Promise<BacktestResult> {
  const { learner, logPath, testPath, batchExamples } = options;
  const { net, states } = learner;
  const judged = async (path: string, then: 'learn' | 'forget', examples: number) => {
    const quality = createProgressiveQuality();
    const batches = createJudgedBatches({ learner, batchExamples: examples, quality, then });
    const { onProgress } = options;
    const events = await eachExample({ file: net.file, path, onProgress }, (example) =>
      batches.take(example),
    );
    await batches.end();
    return { events, report: quality.report() };
  };
  const learned = await judged(logPath, 'learn', batchExamples);
  const test = testPath === undefined ? null : await judged(testPath, 'forget', scoredAtOnce);
  return {
    events: learned.events,
    quality: learned.report,
    test: test?.report ?? null,
    rows: states.reduce((rows, state) => rows + partitionRows(state), 0),
    learned: learned.events,
    engine: net.engine.name,
    stateHash: learnedHash(states, net.dense),
  };
}
