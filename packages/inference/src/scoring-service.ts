/** What the faces ask of the scoring core. It knows nothing of protocols, and they know nothing of scoring. */
import type { Items } from '@millrace/model';
import type {
  ClusterStatus,
  CreateModelResponse,
  Measures,
  ModelFile,
  ModelListing,
  OutcomeRequest,
  OutcomeResponse,
  RankRequest,
  RankResponse,
  RejectedOutcome,
  ScoreRequest,
  ScoreResponse,
} from '@millrace/protocol';
import type { ExperimentControl } from './experiment-control.ts';
import type { Priority } from './priority.ts';
import type { RetryAfterMs } from './queue-delay.ts';
import type { ServedCounts } from './served-counts.ts';
import type { Span } from './tracing/span.ts';
import type { VersionControl } from './version-control.ts';

/** What a listing says instead of an engine of a model that is being loaded. */
export const noEngine = 'none yet';

/** Who waits for an answer. */
export interface Caller {
  /** True once nobody waits any more: the connection broke, or the time was up. */
  readonly gone: boolean;
  /** What is done for this caller is told below it; undefined: he is not traced. */
  readonly span?: Span | undefined;
  /** Default `normal`. */
  readonly priority?: Priority;
}

/** Requests as the faces hand them on: items may lie in the text that they came in. */
export type ScoreAsked = Omit<ScoreRequest, 'items'> & { readonly items: Items };
export type RankAsked = Omit<RankRequest, 'items'> & { readonly items: Items };

export interface ScoringService {
  /**
   * Scores the items in the caller's order. What a caller who has gone will never see is no impression and is not logged;
   * a request whose caller has gone before its batch left is not computed.
   * @throws MILL_MODEL_UNKNOWN, MILL_VERSION_UNKNOWN, MILL_FEATURE_INVALID, MILL_OVERLOADED, MILL_SHARD_UNAVAILABLE,
   *   MILL_NOT_READY, MILL_LOG_UNAVAILABLE
   */
  score(request: ScoreAsked, caller?: Caller): Promise<ScoreResponse>;
  /**
   * Scores the items and draws an order; what is shown is logged with its propensities.
   * @throws as score, and MILL_BAD_REQUEST for a policy that cannot be had of the model or the items
   */
  rank(request: RankAsked, caller?: Caller): Promise<RankResponse>;
  /**
   * Stores outcomes; all of them are durable when this resolves.
   * @throws MILL_MODEL_UNKNOWN, MILL_LOG_UNAVAILABLE
   */
  acceptOutcomes(outcomes: readonly OutcomeRequest[]): Promise<OutcomeResponse>;
  models(): readonly ModelListing[];
  /** Versions of models: what there are, and changes of them. */
  readonly versions: VersionControl;
  readonly experiments: ExperimentControl;
  /** The file of a model, loaded here or not yet. @throws MILL_MODEL_UNKNOWN */
  fileOf(model: string): ModelFile;
  /**
   * Checks a model file and creates the model. The same file a second time changes nothing.
   * @param file  parsed JSON of any shape and depth; the core checks all of it.
   * @throws MILL_MODEL_INVALID, MILL_MODEL_EXISTS
   */
  createModel(name: string, file: unknown): Promise<CreateModelResponse>;
  /** What this node has done for a model since it serves it. @throws MILL_MODEL_UNKNOWN, MILL_NOT_READY */
  servedBy(model: string): Readonly<ServedCounts>;
  /** Outcomes that the updater could not join lately: the newest 100 from its notices, of one model if one is named. */
  rejectedOutcomes(model: string | undefined): readonly RejectedOutcome[];
  /** What the updater told of a model in the last hour, oldest first. @throws MILL_MODEL_UNKNOWN, MILL_NOT_READY */
  measures(model: string): readonly Measures[];
  status(): ClusterStatus;
  /**
   * Asked for a request to score that has just come, before it is read, since those that are refused under overload are the many:
   * when it may come again, if it is refused whatever it asks for; null: it is not. No such function: never.
   */
  overdue?(priority: Priority): RetryAfterMs | null;
  /** True once this node can score. */
  readonly ready: boolean;
}
