/** The public HTTP API's messages, as TypeScript. The JSON Schemas that check them stand in the inference package. */

import type { Measures } from './measures.ts';
import type { LabelMove, VersionLabel, VersionPolicy, VersionRecord } from './model-version.ts';

/** One feature value. Numbers and booleans of sparse fields are hashed by their decimal or literal text. */
export type FeatureValue = string | number | boolean | null | readonly (string | number)[];
/** Features by field name. Names that the model does not know are ignored. */
export type Features = Readonly<Record<string, FeatureValue>>;

/** `POST /v1/score` */
export interface ScoreRequest extends VersionAddress {
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
  /** Experiment arms that it is in, `experiment/arm`, with a space between several; absent: none. */
  readonly arm?: string;
  readonly model: string;
  /** Version of the dense weights that made every score of this answer: the sequence in the dense log. */
  readonly version: number;
  /** Number of the model's version that scored, whose weights are frozen; absent: the live line. */
  readonly modelVersion?: number;
  /** Label that the request followed; absent: none. */
  readonly label?: string;
  /**
   * Probabilities, one for each item, in the caller's order. They travel as decimals; as float32 (Math.fround) they are what was
   * computed and logged, to the bit.
   */
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

/** How `POST /v1/rank` explores. Every one draws its order from probabilities that it logs. */
export type ExplorationSpec =
  /** Best first, but with probability epsilon a place goes to an item drawn evenly. Default, epsilon 0.05. */
  | { readonly type: 'epsilon-greedy'; readonly epsilon?: number }
  /** In proportion to exp(logit / temperature). Default temperature 0.1. */
  | { readonly type: 'softmax'; readonly temperature?: number }
  /** With the probability that it is the best, each logit being normal with its own variance (TableSpec.precision) times scale². */
  | { readonly type: 'thompson'; readonly scale?: number }
  /** Best first, always. */
  | { readonly type: 'greedy' };

/** `POST /v1/rank`: as a score request, and the answer is an order. */
export interface RankRequest extends Omit<ScoreRequest, 'log'> {
  readonly exploration?: ExplorationSpec;
  /** Items wanted, best first. Default all. */
  readonly count?: number;
}

/** One place of an order. */
export interface RankedItem {
  /** Place of the item in the request. Outcomes name this one. */
  readonly index: number;
  readonly score: number;
  /** Probability that the policy put it here, given the places before. */
  readonly propensity: number;
}

/** Answer to `POST /v1/rank`. */
export interface RankResponse extends Omit<ScoreResponse, 'scores'> {
  readonly ranking: readonly RankedItem[];
  readonly policy: string;
}

/** What happened to one shown item; body of `POST /v1/events` is one of these or an array of at most 10,000. */
export interface OutcomeRequest {
  readonly model?: string;
  readonly requestId: string;
  /** Which item: its place in the score request's `items`. Default 0. */
  readonly index?: number;
  /** Or its value of the model's `item` field. Not both. */
  readonly item?: string | number;
  /** Kind of outcome, one of the model's; default `click`. */
  readonly outcome?: string;
  /** 1 click (default), 0 known not to be clicked; amounts for other kinds, ≥ 0. */
  readonly value?: number;
  /** When it happened, Unix ms. Default: now. */
  readonly timeMs?: number;
}

/** Answer to `POST /v1/events`: all are durable in the event log once this is sent. */
export interface OutcomeResponse {
  readonly accepted: number;
}

/** One model as `GET /v1/models` lists it. */
export interface ModelListing {
  readonly name: string;
  readonly partitions: number;
  /** Engine that runs its dense part here, for example `wasm`. */
  readonly engine: string;
  /** Version of the dense weights in use: a sequence in the dense log, 0 before anything was learned. */
  readonly version: number;
  /** True once this node can score with it. */
  readonly ready: boolean;
  /** Its versions as this node has them; absent: it has none. */
  readonly versions?: readonly ServedVersion[];
}

/** Answer to `GET /v1/models`. */
export interface ModelListResponse {
  readonly models: readonly ModelListing[];
}

/** Answer to `PUT /v1/models/:name`, whose body is a model file. `created` is false when the same file was there already. */
export interface CreateModelResponse {
  readonly created: boolean;
  readonly model: ModelListing;
}

/** An outcome that was accepted and could not be joined with its impression. */
export interface RejectedOutcome {
  readonly model: string;
  readonly code: 'MILL_IMPRESSION_UNKNOWN' | 'MILL_EVENT_INVALID';
  readonly requestId: string;
  readonly reason: string;
  /** When the updater gave it up, Unix ms. */
  readonly timeMs: number;
}

/** Answer to `GET /v1/events/rejected`: the newest 100, newest first. */
export interface RejectedOutcomesResponse {
  readonly rejected: readonly RejectedOutcome[];
}

/** Answer to `GET /v1/models/:name/measures`: what its updater told in the last hour, oldest first. */
export interface MeasuresResponse {
  readonly measures: readonly Measures[];
}

export interface ModelStatus {
  readonly name: string;
  readonly version: number;
  readonly engine: string;
  /** Generation of the model's partition map. */
  readonly epoch: number;
  readonly partitions: number;
  /** Owners that a partition has, at most. */
  readonly replicas: number;
  /** Partitions that some owner does not answer for yet, or that former owners still serve. */
  readonly moving: number;
  /** The first 64 of them. */
  readonly moves: readonly PartitionMove[];
  readonly stalenessMs: number | null;
  /** Examples learned by the running updater. */
  readonly learned: number;
  /** Impressions that still wait for their outcome. */
  readonly openImpressions: number;
  /** Outcomes rejected by the running updater. */
  readonly rejected: number;
  /** What became of events that came twice, early or late; absent until an updater has told. */
  readonly joins?: JoinStatus;
  /** How well it does, as its updater told last; null before that. */
  readonly measures: Measures | null;
}

/** Counted by the running updater since it started. */
export interface JoinStatus {
  readonly duplicateImpressions: number;
  readonly duplicateOutcomes: number;
  /** Outcomes that came before their impression. */
  readonly early: number;
  /** Outcomes that came in the late window, and those of them that taught nothing. */
  readonly late: number;
  readonly ignored: number;
  /** Impressions let go before their time, since too much followed them. */
  readonly dropped: number;
  /** Negatives that sampling left out. */
  readonly sampledOut: number;
}

/** A partition on its way to other shards. */
export interface PartitionMove {
  readonly partition: number;
  /** Shards that owned it before and serve on until enough owners answer; none when those that stay are enough. */
  readonly former: readonly string[];
  /** Shards that own it, and whether they answer reads of it. */
  readonly owners: readonly { readonly shard: string; readonly ready: boolean }[];
}

export interface ShardStatus {
  readonly id: string;
  /** host:port of its pull server. */
  readonly address: string;
  /** Where it runs; '' when nothing was said. */
  readonly zone: string;
  /** Its lease is fresh. */
  readonly live: boolean;
  /** It leaves, once others answer for what it holds. */
  readonly draining: boolean;
  /** It has caught up with the log. */
  readonly ready: boolean;
  /** Partitions that maps give it, of all models. */
  readonly owned: number;
  /** Partitions that it answers reads of, those still served for others included. */
  readonly readyPartitions: number;
  readonly rows: number;
  /** Memory of its rows, bytes. */
  readonly bytes: number;
  /** Highest log sequence that it has applied. */
  readonly sequence: number;
  /** Log messages that it has still to apply, as far as it knows. */
  readonly behind: number;
  readonly stalenessMs: number | null;
}

/** Since this inference node started. */
export interface NodeStatus {
  /** Items scored. */
  readonly scored: number;
  /** Dense forward passes. */
  readonly batches: number;
  /** Mean rows of a forward pass. */
  readonly meanBatchRows: number;
  /** Rows that wait for a forward pass now. */
  readonly queueRows: number;
}

/** Answer to `GET /v1/status`. */
export interface ClusterStatus {
  /** Name of the cluster. */
  readonly cluster: string;
  readonly models: readonly ModelStatus[];
  readonly shards: readonly ShardStatus[];
  readonly node: NodeStatus;
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

/** Which line of a model a request goes to. None of both: what label `stable` points at, else the live line. */
export interface VersionAddress {
  /** Number of a version, or `live`. */
  readonly version?: number | 'live';
  readonly label?: string;
}

/** One version as a node has it. */
export interface ServedVersion {
  readonly version: number;
  readonly labels: readonly string[];
  readonly state: 'READY' | 'LOADING' | 'FAILED' | 'UNLOADED';
  /** Why it failed; else ''. */
  readonly reason: string;
}

/** A version as `GET /v1/models/:name/versions` lists it: its record without the model file, and how it stands here. */
export interface VersionListing
  extends ServedVersion,
    Omit<VersionRecord, 'format' | 'model' | 'version' | 'file'> {}

/** Answer to `GET /v1/models/:name/versions`, and to every change of them. */
export interface VersionsResponse {
  readonly model: string;
  readonly policy: VersionPolicy;
  readonly labels: Readonly<Record<string, VersionLabel>>;
  /** Newest moves of labels, oldest first. */
  readonly moves: readonly LabelMove[];
  readonly versions: readonly VersionListing[];
}

/** `POST /v1/models/:name/versions`: freezes the live line. */
export interface TakeVersionRequest {
  readonly note?: string;
  /** Set to the new version. */
  readonly labels?: readonly string[];
}

/** Answer to `POST /v1/models/:name/versions`. */
export interface TakeVersionResponse extends VersionsResponse {
  /** The number that was given. */
  readonly version: number;
}

/** `PUT /v1/models/:name/labels/:label` */
export interface SetLabelRequest {
  readonly version: number;
  /** Kept with the move. */
  readonly reason?: string;
  /** Where the label must point now, else nothing is changed; null: nowhere. */
  readonly from?: number | null;
}
