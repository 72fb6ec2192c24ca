/** The public HTTP API's messages, as TypeScript. The JSON Schemas that check them stand in the inference package. */

/** One feature value. Numbers and booleans of sparse fields are hashed by their decimal or literal text. */
export type FeatureValue = string | number | boolean | null | readonly (string | number)[];
/** Features by field name. Names that the model does not know are ignored. */
export type Features = Readonly<Record<string, FeatureValue>>;

/** `POST /v1/score` */
export interface ScoreRequest {
  /** Model name; may be left out when the cluster has exactly one model. */
  readonly model?: string;
  /** Caller's id, 1–64 of `A-Z a-z 0-9 _ . : -`; made by the server when absent. Outcomes refer to it. */
  readonly requestId?: string;
  readonly user?: Features;
  readonly context?: Features;
  /** Candidates to score, 1 to 2,000. */
  readonly items: readonly Features[];
  /** `false` scores without logging an impression, so nothing will be learned from it. Default `true`. */
  readonly log?: boolean;
}

/** Answer to `POST /v1/score`. */
export interface ScoreResponse {
  readonly requestId: string;
  readonly model: string;
  /** Version of the dense weights that made every score of this answer: the sequence in the dense log. */
  readonly version: number;
  /** Probabilities, one for each item, in the caller's order. */
  readonly scores: readonly number[];
  /**
   * Upper bound in ms on how long ago the newest update that these scores miss was appended to the log;
   * null when no updater has announced itself yet.
   */
  readonly stalenessMs: number | null;
  /** True when some rows could not be read and default rows stood in for them. */
  readonly degraded: boolean;
  /** Engine that ran the dense part, for example `wasm`. */
  readonly engine: string;
}

/** What happened to one shown item; body of `POST /v1/events` is one of these or an array of at most 10,000. */
export interface OutcomeRequest {
  readonly model?: string;
  readonly requestId: string;
  /** Which item: its place in the score request's `items`. Default 0. */
  readonly index?: number;
  /** Or its value of the model's `item` field. Not both. */
  readonly item?: string | number;
  /** 1 click (default), 0 known not to be clicked. */
  readonly value?: number;
}

/** Answer to `POST /v1/events`: all are durable in the event log once this is sent. */
export interface OutcomeResponse {
  readonly accepted: number;
}

/** Every HTTP error. */
export interface ErrorResponse {
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly retry: string;
    readonly details?: Readonly<Record<string, unknown>>;
  };
}
