/**
 * A model that is asked what it would choose and then learns what was chosen instead: it never judges an example that it has
 * learned from, so its scores are honest both as a policy and as a model of the reward.
 */
import type { EngineName } from '@millrace/model';
import type { Features, ModelFile, ScoreRequest } from '@millrace/protocol';
import type { Logger } from '@millrace/runtime';
import { openSingleProcessCluster } from '../backtest/single-process-cluster.ts';

export interface Judgement {
  /** float64[items] */
  readonly logits: Float64Array;
  /** float64[items]: how unsure each logit is; null where the model does not say. */
  readonly variances: Float64Array | null;
}

export interface ProgressiveModel {
  /** Judges the items for a user in a context. */
  judge(request: Omit<ScoreRequest, 'items'>, items: readonly Features[]): Promise<Judgement>;
  /** Learns what came of the one item of the request. */
  learn(request: ScoreRequest, label: 0 | 1, timeMs: number | null): Promise<void>;
  close(): Promise<void>;
}

export interface ProgressiveModelOptions {
  readonly file: ModelFile;
  readonly engine: 'auto' | EngineName;
  /** Examples of one gradient step. */
  readonly batchExamples: number;
  readonly logger: Logger;
}

/** Closest to 0 and 1 that a float32 probability is taken for: its logit is finite. */
const probabilityMin = 1e-7;

export async function openProgressiveModel(options: ProgressiveModelOptions): Promise<ProgressiveModel> {
  const { file, engine, logger, batchExamples } = options;
  const cluster = await openSingleProcessCluster({
    file,
    engine,
    logger,
    startMs: 0,
    batchExamplesMax: batchExamples,
  });
  let learned = 0;
  return {
    async judge(request, items) {
      const { scores } = await cluster.core.score({ ...request, items, log: false });
      return { logits: Float64Array.from(scores, logitFrom), variances: null };
    },
    async learn(request, label, timeMs) {
      if (timeMs !== null && timeMs > cluster.clock.now()) cluster.clock.advanceTo(timeMs);
      const requestId = `e${learned}`;
      await cluster.core.score({ ...request, requestId });
      await cluster.core.acceptOutcomes([{ requestId, value: label }]);
      learned += 1;
      if (learned % batchExamples === 0) await cluster.updater.flush();
    },
    close: () => cluster.close(),
  };
}

function logitFrom(probability: number): number {
  const p = Math.min(1 - probabilityMin, Math.max(probabilityMin, probability));
  return Math.log(p / (1 - p));
}
