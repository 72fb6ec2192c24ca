/**
 * Judges a policy by a log of what another one did. The log is read twice where it must say first which items there are, else
 * once; memory holds four numbers a decision.
 */
import { crossFittedMeans, type Exploration, meansFolds, type RewardModel } from '@millrace/core';
import type { LocalLearner } from '@millrace/learner';
import type { ModelFile } from '@millrace/protocol';
import { createLogTally, fileInvalid, type LogFormat, type LogReport } from '../log-file/index.ts';
import type { ColumnNames, Columns } from './columns.ts';
import { eachDecision } from './decisions.ts';
import { type Assessment, assess } from './figures.ts';
import { createItemUniverse, type ItemUniverse, itemsFromFile } from './item-universe.ts';
import { judgeByModel } from './judge-by-model.ts';

export type EvaluatedPolicy =
  /** What the log itself did. */
  | { readonly type: 'logged' }
  /** Every item as likely as the next. */
  | { readonly type: 'uniform' }
  /** A model that learns along, and explores. */
  | {
      readonly type: 'model';
      readonly file: ModelFile;
      /** Where it begins: from nothing, or from what was trained. Disposed by who opened it. */
      readonly learner: LocalLearner;
      readonly exploration: Exploration;
      /** Decisions of one gradient step. */
      readonly batchExamples: number;
    };

export interface EvaluateOptions {
  readonly logPath: string;
  /** Items to choose between, a row each; undefined: those of the log. */
  readonly itemsPath: string | undefined;
  readonly policy: EvaluatedPolicy;
  readonly names: ColumnNames;
  readonly format: LogFormat | undefined;
  readonly strict: boolean;
  readonly clip: number | null;
  readonly confidence: number;
  readonly resamples: number;
  readonly seed: number;
  readonly onProgress: (bytesRead: number, bytesTotal: number) => void;
}

export interface Evaluation extends Assessment {
  readonly columns: Columns;
  /** Items that the policy chose between. */
  readonly items: number;
  /** Decisions of items that are not among them: the policy never shows these. */
  readonly outsideItems: number;
  /** What q̂ of DM and DR is; null: no model of the reward. */
  readonly rewardModel: string | null;
  readonly log: LogReport;
}

/** A log in memory; what a plain policy is judged by. */
export interface DecisionLog {
  readonly columns: Columns;
  readonly universe: ItemUniverse;
  readonly report: LogReport;
  /** By decision: number of its item and of its position. */
  readonly itemOf: readonly number[];
  readonly positionOf: readonly number[];
  readonly rewards: readonly number[];
  readonly propensities: readonly number[];
  readonly positions: number;
}

/** By decision what the policy would have done, and what a model says of it. */
export interface Judged {
  readonly weights: Float64Array;
  readonly rewards: Float64Array;
  readonly model: RewardModel | null;
  readonly rewardModel: string | null;
  readonly report: LogReport;
}

/** @throws MILL_FILE_INVALID, MILL_BAD_REQUEST, MILL_ENGINE_UNAVAILABLE */
export async function evaluateLog(options: EvaluateOptions): Promise<Evaluation> {
  const { policy, clip, confidence, resamples, seed } = options;
  const log = await readDecisions(options);
  const judged =
    policy.type === 'model' ? await judgeByModel(options, policy, log) : judgePlainly(policy, log);
  const { weights, rewards, model, rewardModel, report } = judged;
  const count = rewards.length;
  return {
    ...assess({ weights, rewards, count, model, clip, confidence, resamples, seed }),
    columns: log.columns,
    items: log.universe.size,
    outsideItems: log.itemOf.reduce((sum, item) => sum + (item < log.universe.size ? 0 : 1), 0),
    rewardModel,
    log: report,
  };
}

async function readDecisions(options: EvaluateOptions): Promise<DecisionLog> {
  const { logPath, itemsPath, names, format, strict, policy, onProgress } = options;
  const tally = createLogTally(logPath, strict ? 'strict' : 'lenient');
  const positionNumbers = new Map<string, number>();
  const itemOf: number[] = [];
  const positionOf: number[] = [];
  const rewards: number[] = [];
  const propensities: number[] = [];
  let universe = createItemUniverse();
  const columns = await eachDecision(
    {
      path: logPath,
      format,
      tally,
      names,
      needsPropensity: policy.type !== 'logged',
      onProgress,
      async onColumns({ action }) {
        if (itemsPath !== undefined) universe = await itemsFromFile(itemsPath, action);
      },
    },
    (decision, record) => {
      tally.take(decision.line, null);
      itemOf.push(universe.numberOf(decision.item, record));
      positionOf.push(numberOf(positionNumbers, decision.position));
      rewards.push(decision.reward);
      propensities.push(decision.propensity);
    },
  );
  if (rewards.every((reward) => reward === 0)) {
    const wanted = 'a reward other than 0 in some record';
    throw fileInvalid({ file: logPath, column: columns.reward }, wanted, `0 in all ${rewards.length}`);
  }
  const positions = positionNumbers.size;
  return { columns, universe, report: tally.report(), itemOf, positionOf, rewards, propensities, positions };
}

function judgePlainly({ type }: { readonly type: 'logged' | 'uniform' }, log: DecisionLog): Judged {
  const { itemOf, propensities, universe, report } = log;
  const rewards = Float64Array.from(log.rewards);
  const count = rewards.length;
  if (type === 'logged') {
    return { weights: new Float64Array(count).fill(1), rewards, model: null, rewardModel: null, report };
  }
  const { size } = universe;
  const weights = Float64Array.from(propensities, (logged, i) => (itemOf[i] < size ? 1 / size / logged : 0));
  const model = crossFittedMeans({
    itemOf: Uint32Array.from(itemOf),
    positionOf: Uint32Array.from(log.positionOf),
    rewards,
    count,
    items: universe.known,
    positions: log.positions,
    probabilities: Float64Array.from({ length: universe.known }, (_, item) => (item < size ? 1 / size : 0)),
  });
  const where = log.columns.position === null ? '' : ' and position';
  const rewardModel = `smoothed mean of each item${where}, cross-fitted in ${meansFolds} folds`;
  return { weights, rewards, model, rewardModel, report };
}

function numberOf(numbers: Map<string, number>, name: string): number {
  const known = numbers.get(name);
  if (known !== undefined) return known;
  numbers.set(name, numbers.size);
  return numbers.size - 1;
}
