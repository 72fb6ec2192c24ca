/** What `millrace tune` and its workers tell each other. */
import type { EngineName } from '@millrace/model';
import type { LogInput } from '../training/each-example.ts';

export interface TuneJob {
  /** Place of the combination in the grid. */
  readonly index: number;
  /** A model file, not yet checked. */
  readonly model: unknown;
  readonly log: LogInput;
  readonly test: LogInput | null;
  readonly engine: 'auto' | EngineName;
  readonly batchExamples: number;
}

/** Figures of a backtest; null for what JSON has no number for. */
export interface TuneFigures {
  readonly events: number;
  readonly auc: number | null;
  readonly logloss: number | null;
  readonly calibration: number | null;
  readonly rows: number;
  readonly stateHash: string;
}

export type TuneAnswer =
  | { readonly kind: 'progress'; readonly index: number; readonly share: number }
  | { readonly kind: 'done'; readonly index: number; readonly figures: TuneFigures }
  | { readonly kind: 'failed'; readonly index: number; readonly reason: string };
