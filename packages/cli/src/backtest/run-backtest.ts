/**
 * What online learning would have given on a log: each event is scored by the model as it was, then learned from. Strictly
 * in this order, and with the same code that runs in a cluster.
 */
import { createProgressiveQuality, type ProgressiveQuality, type QualityReport } from '@millrace/core';
import type { EngineName } from '@millrace/model';
import type { ModelFile } from '@millrace/protocol';
import type { Logger } from '@millrace/runtime';
import { type Example, type LogFormat, type LogReport, readExamples } from '../log-file/index.ts';
import { openSingleProcessCluster, type SingleProcessCluster } from './single-process-cluster.ts';

export interface BacktestOptions {
  readonly file: ModelFile;
  readonly logPath: string;
  /** Scored after the log, without learning. */
  readonly testPath: string | undefined;
  /** Of both logs. Default: by their endings. */
  readonly format: LogFormat | undefined;
  /** End at the first record that would be skipped. */
  readonly strict: boolean;
  readonly engine: 'auto' | EngineName;
  /** Events that are scored before they are learned together, in one gradient step. */
  readonly batchExamples: number;
  readonly logger: Logger;
  readonly onProgress: (bytesRead: number, bytesTotal: number) => void;
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

/** @throws MILL_FILE_INVALID, MILL_FEATURE_INVALID, MILL_MODEL_INVALID */
export async function runBacktest(options: BacktestOptions): Promise<BacktestResult> {
  const { file, logger, engine } = options;
  const cluster = await openSingleProcessCluster({
    file,
    engine,
    logger,
    startMs: 0,
    batchExamplesMax: options.batchExamples,
  });
  try {
    const quality = createProgressiveQuality();
    const { events, log } = await learnLog(options, cluster, quality);
    const test = options.testPath === undefined ? null : await scoreLog(options, options.testPath, cluster);
    const rows = cluster.shard.states.reduce(
      (sum, state) => sum + (state?.tables.reduce((n, t) => n + t.count, 0) ?? 0),
      0,
    );
    return {
      events,
      quality: quality.report(),
      test: test?.quality ?? null,
      log,
      testLog: test?.log ?? null,
      rows,
      learned: cluster.updater.counters.learned,
      engine: cluster.core.models()[0].engine,
      stateHash: cluster.stateHash(),
    };
  } finally {
    await cluster.close();
  }
}

async function learnLog(
  options: BacktestOptions,
  cluster: SingleProcessCluster,
  quality: ProgressiveQuality,
): Promise<{ events: number; log: LogReport }> {
  let events = 0;
  const log = await eachExample(options, options.logPath, async ({ request, label, timeMs }) => {
    if (timeMs !== null && timeMs > cluster.clock.now()) cluster.clock.advanceTo(timeMs);
    const requestId = `e${events}`;
    const { scores } = await cluster.core.score({ ...request, requestId });
    quality.add(scores[0], label);
    await cluster.core.acceptOutcomes([{ requestId, value: label }]);
    events += 1;
    if (events % options.batchExamples === 0) await cluster.updater.flush();
  });
  await cluster.updater.flush();
  return { events, log };
}

async function scoreLog(
  options: BacktestOptions,
  path: string,
  cluster: SingleProcessCluster,
): Promise<{ quality: QualityReport; log: LogReport }> {
  const quality = createProgressiveQuality();
  const log = await eachExample(options, path, async ({ request, label }) => {
    const { scores } = await cluster.core.score({ ...request, log: false });
    quality.add(scores[0], label);
  });
  return { quality: quality.report(), log };
}

async function eachExample(
  { file, format, strict, onProgress }: BacktestOptions,
  path: string,
  take: (example: Example) => Promise<void>,
): Promise<LogReport> {
  const examples = readExamples(file, path, { format, strict, onProgress });
  for await (const batch of examples) for (const example of batch) await take(example);
  return examples.report();
}
