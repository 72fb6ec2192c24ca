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
  /** Null: no node has told. */
  readonly scoring: ArmScoring | null;
}

/** An arm against the control. */
export interface ArmComparison {
  readonly arm: string;
  /** `clickRate`, `logloss`, or `value of KIND`. Of a shadow logloss alone, against what was answered. */
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
  readonly comparisons: readonly ArmComparison[];
  readonly changes: readonly ExperimentChange[];
  /** In a sentence or two. */
  readonly verdict: string;
}

/** Answer to `GET /v1/models/:name/experiments`. */
export interface ExperimentListResponse {
  readonly experiments: readonly ExperimentReport[];
}
