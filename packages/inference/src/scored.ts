/** What a line of a model takes and gives. */
import type { Items } from '@millrace/model';
import type { Features } from '@millrace/protocol';
import type { Caller } from './scoring-service.ts';

export interface ScoreInput {
  readonly user: Features;
  readonly context: Features;
  readonly items: Items;
  /** Wants to know where its rows were read: true when its scores are logged. */
  readonly traced?: boolean;
  /** Wants logits, and how sure they are: true when an order is drawn from them. */
  readonly ranked?: boolean;
  /** Who waits; nothing is computed for one who has gone. */
  readonly caller?: Caller | undefined;
}

export interface Scored {
  /** Probabilities in item order; the caller's to keep. */
  readonly scores: Float32Array;
  readonly version: number;
  readonly stalenessMs: number | null;
  /** True when first values stood in for some rows of its batch. */
  readonly degraded: boolean;
  /** Where its rows were read (protocol/read-log.ts); null unless it was asked for. */
  readonly reads: Uint8Array | null;
  /** Behind the scores, float32[items]; empty unless it was asked for. */
  readonly logits: Float32Array;
  /** Of the logits, float32[items]; null unless it was asked for and tables keep a precision. */
  readonly variances: Float32Array | null;
}
