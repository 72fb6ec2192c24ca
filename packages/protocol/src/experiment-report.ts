/** What is told of an experiment: its arms, how each does, and what may be said of their differences. */
import type { ArmLearning, ArmTarget, ExperimentChange, GuardBounds } from './experiment.ts';

/** How scoring itself goes in an arm, of all nodes, over the last minute. */
export interface ArmScoring {
  readonly requests: number;
  readonly errors: number;
  /** Requests whose scores were no numbers; something else answered where it could. */
  readonly notFinite: number;
  /** Shadow scores that were left out, since the node was busy. */
  readonly dropped: number;
  /** Time to score, ms; null of nothing. To the next of cells a quarter apart. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
}

/** A rate, and an interval that holds at every look by itself; null while there is too little to say anything. */
export interface RateEstimate {
  readonly value: number;
  readonly interval: readonly [number, number] | null;
}

/**
 * What an arm would have earned in first place had it not explored: the judged policy shows first what the arm's scores of the
 * moment put first. Estimated from the propensities of what was drawn there; of a shadow, from those of what answered.
 */
export interface ArmOffPolicy {
  readonly policy: 'greedy';
  /** Orders that were drawn, with propensities, and are judged. */
  readonly ranks: number;
  /** Clicks an order in first place, as it was drawn: with its exploration, of a shadow what was answered. */
  readonly drawn: RateEstimate | null;
  /** Σ w·r / Σ w, with w the policy's probability over the propensity; null where no order has such a weight. */
  readonly snips: RateEstimate | null;
  /** Doubly robust: the scores that were answered as a model of the clicks, corrected by those that came. */
  readonly dr: RateEstimate | null;
  /** Orders of the policy itself that would tell as much: (Σ w)² / Σ w². */
  readonly effectiveSampleSize: number;
  /** About 1 where the propensities are true and all that the policy shows could have been drawn; null without orders. */
  readonly meanWeight: number | null;
  /** Why there are no figures, or what speaks against them; null: nothing. */
  readonly reason: string | null;
}

export interface ArmReport {
  readonly name: string;
  /** Of its layer's units. */
  readonly share: number;
  readonly target: ArmTarget;
  readonly learn: ArmLearning;
  readonly shadow: boolean;
  /** Why a guard took it out; null: none did. */
  readonly takenOut: string | null;
  /** Items shown, and clicked. */
  readonly shown: number;
  readonly clicked: number;
  readonly clickRate: number | null;
  /** By kind of outcome the sum of values, and the mean an item shown. */
  readonly values: readonly { readonly kind: string; readonly sum: number; readonly mean: number | null }[];
  /** Predicted over clicked. */
  readonly calibration: number | null;
  /** Mean, nats. */
  readonly logloss: number | null;
  readonly offPolicy: ArmOffPolicy;
  /** Distinct units since the shares were last changed, an estimate beyond some thousands; null: they are not counted. */
  readonly units: number | null;
  /** Null: no node has told. */
  readonly scoring: ArmScoring | null;
}

export interface SampleRatioArm {
  readonly name: string;
  /** Of the units of these arms, by their shares. */
  readonly expected: number;
  readonly found: number;
}

/** Whether units came to the arms as their shares deal them, since these were last changed. */
export interface SampleRatio {
  readonly arms: readonly SampleRatioArm[];
  /** Distinct units that this is judged by. */
  readonly units: number;
  /** Of shares as dealt, valid at every look while all units are told apart; null: not judged. */
  readonly pValue: number | null;
  /** True below 0.001: no difference can be trusted then. */
  readonly mismatch: boolean;
  /** What it means and what to do, in words. */
  readonly verdict: string;
}

/** An arm against the control. */
export interface ArmComparison {
  readonly arm: string;
  /**
   * `clickRate`, `logloss`, `value of KIND`, and where orders were drawn `greedyClickRate`, the doubly robust one of
   * ArmOffPolicy. Of a shadow `logloss` and `greedyClickRate` alone, against what was answered.
   */
  readonly metric: string;
  readonly control: number;
  readonly value: number;
  readonly difference: number;
  /** Holds at every look together with all others of its metric; null while there is too little to say anything. */
  readonly interval: readonly [number, number] | null;
  /** Of no difference, valid at whichever look; null as above. */
  readonly pValue: number | null;
  readonly verdict: string;
}

export interface ExperimentReport {
  readonly name: string;
  readonly model: string;
  readonly layer: string;
  readonly key: string;
  readonly salt: string;
  readonly control: string;
  readonly confidence: number;
  readonly guards: GuardBounds;
  readonly note: string;
  readonly startedMs: number;
  /** Null while it runs. */
  readonly endedMs: number | null;
  /** Arm whose target went on after the end; null: none. */
  readonly kept: string | null;
  readonly arms: readonly ArmReport[];
  readonly sampleRatio: SampleRatio;
  readonly comparisons: readonly ArmComparison[];
  readonly changes: readonly ExperimentChange[];
  /** In a sentence or two. */
  readonly verdict: string;
}

/** Answer to `GET /v1/models/:name/experiments`. */
export interface ExperimentListResponse {
  readonly experiments: readonly ExperimentReport[];
}
