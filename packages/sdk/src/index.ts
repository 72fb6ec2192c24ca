export {
  type ClusterStatus,
  type CreateModelResponse,
  type ErrorCode,
  type ExperimentReport,
  type ExperimentSpec,
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
  type SetLabelRequest,
  type TakeVersionRequest,
  type TakeVersionResponse,
  type VersionListing,
  type VersionPolicy,
  type VersionRecord,
  type VersionsResponse,
} from '@millrace/protocol';
export { createMillraceClient, type MillraceClient } from './client.ts';
export type { MillraceClientOptions } from './exchange.ts';
export type { ExperimentsClient } from './experiments.ts';
export type { VersionsClient } from './versions.ts';
