/** JSON Schemas of the answers. Fastify compiles them to serialisers, and they are published in /openapi.json. */

import { measureWindows } from '@millrace/protocol';

const text = { type: 'string' } as const;
const flag = { type: 'boolean' } as const;
const count = { type: 'integer', minimum: 0 } as const;
const staleness = { type: ['number', 'null'], description: 'ms; null when not known' } as const;

/** Absent: the live line scored; nothing was followed. */
const routed = {
  modelVersion: { ...count, description: 'number of the version that scored; absent: the live line' },
  arm: { ...text, description: 'experiment arms that it is in; absent: none' },
  label: { ...text, description: 'label that was followed; absent: none' },
} as const;

export const scoreResponseSchema = withOptional(
  answerOf('ScoreResponse', {
    requestId: text,
    model: text,
    version: count,
    scores: { type: 'array', items: { type: 'number' } },
    stalenessMs: staleness,
    degraded: flag,
    engine: text,
  }),
  routed,
);

export const rankedItemSchema = answerOf('RankedItem', {
  index: { ...count, description: 'place of the item in the request; outcomes name this one' },
  score: { type: 'number' },
  propensity: {
    type: 'number',
    description: 'probability that the policy put it here, given the places before',
  },
});

export const rankResponseSchema = withOptional(
  answerOf('RankResponse', {
    requestId: text,
    model: text,
    version: count,
    ranking: listOf('RankedItem'),
    policy: text,
    stalenessMs: staleness,
    degraded: flag,
    engine: text,
  }),
  routed,
);

export const outcomeResponseSchema = answerOf('OutcomeResponse', { accepted: count });

export const servedVersionSchema = answerOf('ServedVersion', {
  version: count,
  labels: { type: 'array', items: text },
  state: { type: 'string', enum: ['READY', 'LOADING', 'FAILED', 'UNLOADED'] },
  reason: text,
});

export const modelListingSchema = withOptional(
  answerOf('ModelListing', {
    name: text,
    partitions: count,
    engine: text,
    version: count,
    ready: flag,
  }),
  { versions: listOf('ServedVersion') },
);

export const modelListResponseSchema = answerOf('ModelListResponse', { models: listOf('ModelListing') });

export const createModelResponseSchema = answerOf('CreateModelResponse', {
  created: flag,
  model: { $ref: 'ModelListing#' },
});

export const rejectedOutcomeSchema = answerOf('RejectedOutcome', {
  model: text,
  code: { type: 'string', enum: ['MILL_IMPRESSION_UNKNOWN', 'MILL_EVENT_INVALID'] },
  requestId: text,
  reason: text,
  timeMs: { type: 'number' },
});

export const rejectedOutcomesResponseSchema = answerOf('RejectedOutcomesResponse', {
  rejected: listOf('RejectedOutcome'),
});

export const partitionMoveSchema = answerOf('PartitionMove', {
  partition: count,
  former: { type: 'array', items: text },
  owners: {
    type: 'array',
    items: { type: 'object', required: ['shard', 'ready'], properties: { shard: text, ready: flag } },
  },
});

const figure = { type: ['number', 'null'] } as const;

export const qualitySchema = answerOf('Quality', {
  count: { type: 'number' },
  positives: { type: 'number' },
  auc: figure,
  logloss: figure,
  normalizedEntropy: figure,
  calibration: figure,
});

export const armMeasuresSchema = answerOf('ArmMeasures', {
  arm: text,
  quality: {
    type: 'object',
    required: Object.keys(measureWindows),
    properties: Object.fromEntries(
      Object.keys(measureWindows).map((window) => [window, { $ref: 'Quality#' }]),
    ),
  },
  curve: {
    type: 'array',
    items: {
      type: 'object',
      properties: { count: { type: 'number' }, predicted: { type: 'number' }, observed: { type: 'number' } },
    },
  },
});

export const measuresSchema = answerOf('Measures', {
  model: text,
  timeMs: { type: 'number' },
  arms: listOf('ArmMeasures'),
  fields: {
    type: 'array',
    items: {
      type: 'object',
      properties: { field: text, coverage: { type: 'number' }, newKeys: figure, drift: figure },
    },
  },
  scoreDrift: figure,
  gradientNorms: {
    type: 'object',
    properties: { logits: figure, embeddings: figure, dense: figure },
  },
  alerts: { type: 'array', items: text },
});

export const measuresResponseSchema = answerOf('MeasuresResponse', { measures: listOf('Measures') });

export const joinStatusSchema = answerOf('JoinStatus', {
  duplicateImpressions: count,
  duplicateOutcomes: count,
  early: count,
  late: count,
  ignored: count,
  dropped: count,
  sampledOut: count,
});

const alwaysOfModels = answerOf('ModelStatus', {
  name: text,
  version: count,
  engine: text,
  epoch: count,
  partitions: count,
  replicas: count,
  moving: count,
  moves: listOf('PartitionMove'),
  stalenessMs: staleness,
  learned: count,
  openImpressions: count,
  rejected: count,
  measures: { anyOf: [{ $ref: 'Measures#' }, { type: 'null' }] },
});

/** Absent until an updater has told. */
export const modelStatusSchema = withOptional(alwaysOfModels, { joins: { $ref: 'JoinStatus#' } });

export const shardStatusSchema = answerOf('ShardStatus', {
  id: text,
  address: text,
  zone: text,
  live: flag,
  draining: flag,
  ready: flag,
  owned: count,
  readyPartitions: count,
  rows: count,
  bytes: count,
  sequence: count,
  behind: count,
  stalenessMs: staleness,
});

export const nodeStatusSchema = answerOf('NodeStatus', {
  scored: count,
  batches: count,
  meanBatchRows: { type: 'number' },
  queueRows: count,
});

export const clusterStatusSchema = answerOf('ClusterStatus', {
  cluster: text,
  models: listOf('ModelStatus'),
  shards: listOf('ShardStatus'),
  node: { $ref: 'NodeStatus#' },
});

export const liveResponseSchema = answerOf('LiveResponse', { live: flag });
export const readyResponseSchema = answerOf('ReadyResponse', { ready: flag });

/** Every refusal. `code` is one of the closed table (docs/errors.md), `retry` says what the caller should do. */
export const errorResponseSchema = {
  $id: 'ErrorResponse',
  type: 'object',
  required: ['error'],
  properties: {
    error: {
      type: 'object',
      required: ['code', 'message', 'retry'],
      properties: {
        code: text,
        message: text,
        retry: { type: 'string', enum: ['never', 'same', 'refresh-map', 'backoff'] },
        details: { type: 'object', additionalProperties: true },
      },
    },
  },
} as const;

/** What versions and labels say of themselves stands in protocol/model-version.ts; it is passed on whole. */
export const versionListingSchema = answerOf('VersionListing', {
  version: count,
  parent: { type: ['integer', 'null'] },
  kind: { type: 'string', enum: ['taken', 'derived', 'imported'] },
  labels: { type: 'array', items: text },
  state: servedVersionSchema.properties.state,
  reason: text,
  createdMs: { type: 'number' },
  note: text,
  code: text,
});

const ofVersions = {
  model: text,
  policy: { type: 'object', additionalProperties: true },
  labels: { type: 'object', additionalProperties: true },
  moves: { type: 'array', items: { type: 'object', additionalProperties: true } },
  versions: listOf('VersionListing'),
} as const;

export const versionsResponseSchema = answerOf('VersionsResponse', ofVersions);
export const takeVersionResponseSchema = answerOf('TakeVersionResponse', { version: count, ...ofVersions });
export const versionRecordSchema = answerOf('VersionRecord', {
  model: text,
  version: count,
  file: { type: 'object', additionalProperties: true },
});

export const answerSchemas = [
  scoreResponseSchema,
  rankedItemSchema,
  rankResponseSchema,
  outcomeResponseSchema,
  servedVersionSchema,
  modelListingSchema,
  modelListResponseSchema,
  createModelResponseSchema,
  rejectedOutcomeSchema,
  rejectedOutcomesResponseSchema,
  partitionMoveSchema,
  qualitySchema,
  armMeasuresSchema,
  measuresSchema,
  measuresResponseSchema,
  joinStatusSchema,
  modelStatusSchema,
  shardStatusSchema,
  nodeStatusSchema,
  clusterStatusSchema,
  liveResponseSchema,
  readyResponseSchema,
  errorResponseSchema,
  versionListingSchema,
  versionsResponseSchema,
  takeVersionResponseSchema,
  versionRecordSchema,
] as const;

/** Responses of a route: its answer by status, and the error body for all others. */
export function answers(byStatus: Readonly<Record<number, object>>): Record<string, object> {
  const error = answer('ErrorResponse', 'Refused, with a code of docs/errors.md.');
  return { ...byStatus, '4xx': error, '5xx': error };
}

/** One answer of a route: a schema of this file by its name, and a sentence. */
export function answer(id: string, description: string): object {
  return { description, $ref: `${id}#` };
}

function answerOf<P extends object>(id: string, properties: P) {
  return {
    $id: id,
    type: 'object',
    required: Object.keys(properties),
    // A newer core may say more than this file knows; what it adds is passed on.
    additionalProperties: true,
    properties,
  } as const;
}

/** The answer with properties that it may lack. */
function withOptional<A extends { readonly properties: object }, P extends object>(schema: A, optional: P) {
  return { ...schema, properties: { ...schema.properties, ...optional } } as const;
}

function listOf(id: string) {
  return { type: 'array', items: { $ref: `${id}#` } } as const;
}
