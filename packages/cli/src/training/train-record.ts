/** What train.json says: how a trained model came about and how well it did. */
import type { CodeVersion } from './code-version.ts';
import type { FileIdentity } from './file-identity.ts';

/** Figures of one reading of the data. Logloss is the mean, in nats; null: nothing to judge, or only one class. */
export interface PassFigures {
  /** From 1. */
  readonly pass: number;
  /** Each example scored before this pass learned it. */
  readonly trainLogloss: number | null;
  readonly trainAuc: number | null;
  /** The tail, scored after the pass and never learned. */
  readonly holdoutLogloss: number | null;
  readonly holdoutAuc: number | null;
}

export interface TrainParameters {
  readonly passes: number;
  readonly holdout: number;
  readonly patience: number;
  readonly batch: number;
  readonly seed: number;
  readonly engine: string;
}

export interface TrainRecord {
  readonly model: string;
  readonly code: CodeVersion;
  readonly data: FileIdentity & { readonly trainExamples: number; readonly holdoutExamples: number };
  readonly parameters: TrainParameters;
  readonly passes: readonly PassFigures[];
  /** Whose state the weights are. */
  readonly bestPass: number;
  readonly rows: number;
  /** SHA-256 over rows, optimizer state and dense weights (learnedHash). */
  readonly stateHash: string;
}
