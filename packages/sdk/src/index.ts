export {
  type ClusterStatus,
  type CreateModelResponse,
  type ErrorCode,
  type ExplorationSpec,
  type Features,
  type FeatureValue,
  isMillraceError,
  MillraceError,
  type ModelFile,
  type ModelListing,
  type OutcomeRequest,
  type OutcomeResponse,
  type RankedItem,
  type RankRequest,
  type RankResponse,
  type RejectedOutcome,
  type ScoreRequest,
  type ScoreResponse,
} from '@millrace/protocol';
export { createMillraceClient, type MillraceClient } from './client.ts';
export type { MillraceClientOptions } from './exchange.ts';
