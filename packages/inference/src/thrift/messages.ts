/** The structs of packages/protocol/proto/millrace.thrift, and its requests as messages of the native service. */
import type { StructTable, StructValue } from './structs.ts';

const scalar = {
  1: ['text', 'string'],
  2: ['number', 'double'],
  3: ['integer', 'i64'],
} as const satisfies StructTable;

const featureValue = {
  ...scalar,
  4: ['flag', 'bool'],
  5: ['values', { list: { struct: scalar } }],
} as const satisfies StructTable;

const features = { map: { struct: featureValue } } as const;

const call = {
  1: ['key', 'string'],
  2: ['timeoutMs', 'i32'],
  3: ['traceparent', 'string'],
  4: ['priority', 'string'],
} as const satisfies StructTable;

/** What requests to score and to rank have in common. */
const candidates = {
  1: ['model', 'string'],
  2: ['requestId', 'string'],
  3: ['user', features],
  4: ['context', features],
  5: ['items', { list: features }],
  7: ['call', { struct: call }],
  8: ['modelVersion', 'string'],
  9: ['label', 'string'],
} as const satisfies StructTable;

const scoreRequest = { ...candidates, 6: ['log', 'bool'] } as const satisfies StructTable;

const exploration = {
  1: ['type', 'string'],
  2: ['epsilon', 'double'],
  3: ['temperature', 'double'],
  4: ['scale', 'double'],
} as const satisfies StructTable;

const rankRequest = {
  ...candidates,
  6: ['exploration', { struct: exploration }],
  10: ['count', 'i32'],
} as const satisfies StructTable;

/** What answers to both say. */
const answered = {
  1: ['requestId', 'string'],
  2: ['model', 'string'],
  3: ['version', 'i64'],
  5: ['stalenessMs', 'double'],
  6: ['degraded', 'bool'],
  7: ['engine', 'string'],
  8: ['modelVersion', 'i32'],
  9: ['label', 'string'],
  10: ['arm', 'string'],
} as const satisfies StructTable;

const scoreResponse = { ...answered, 4: ['scores', { list: 'double' }] } as const satisfies StructTable;

const rankedItem = {
  1: ['index', 'i32'],
  2: ['score', 'double'],
  3: ['propensity', 'double'],
} as const satisfies StructTable;

const rankResponse = {
  ...answered,
  4: ['ranking', { list: { struct: rankedItem } }],
  11: ['policy', 'string'],
} as const satisfies StructTable;

const outcome = {
  1: ['model', 'string'],
  2: ['requestId', 'string'],
  3: ['index', 'i32'],
  4: ['item', { struct: scalar }],
  5: ['outcome', 'string'],
  6: ['value', 'double'],
  7: ['timeMs', 'i64'],
} as const satisfies StructTable;

const outcomesRequest = {
  1: ['outcomes', { list: { struct: outcome } }],
  2: ['call', { struct: call }],
} as const satisfies StructTable;

const outcomesResponse = { 1: ['accepted', 'i32'] } as const satisfies StructTable;

/** The exception of every method. */
export const refusal = {
  1: ['code', 'string'],
  2: ['message', 'string'],
  3: ['retryKind', 'string'],
  4: ['retryAfterMs', 'i32'],
} as const satisfies StructTable;

/** What a request says of its caller. */
export interface CallFacts {
  readonly key?: string;
  readonly timeoutMs?: number;
  readonly traceparent?: string;
  readonly priority?: string;
}

export interface Method {
  readonly request: StructTable;
  readonly response: StructTable;
  /** Of the native service (grpc/native-service.ts). */
  readonly answeredBy: 'Score' | 'Rank' | 'SendOutcomes';
  readonly needs: 'score' | 'events';
  /** The request as a message of that service. */
  messageOf(request: StructValue): StructValue;
}

export const methods: Readonly<Record<string, Method>> = {
  score: {
    request: scoreRequest,
    response: scoreResponse,
    answeredBy: 'Score',
    needs: 'score',
    messageOf: (request) => ({ ...candidatesMessage(request), log: request.log }),
  },
  rank: {
    request: rankRequest,
    response: rankResponse,
    answeredBy: 'Rank',
    needs: 'score',
    messageOf: (request) => ({
      ...candidatesMessage(request),
      exploration: explorationMessage(request.exploration as StructValue | undefined),
      count: request.count,
    }),
  },
  sendOutcomes: {
    request: outcomesRequest,
    response: outcomesResponse,
    answeredBy: 'SendOutcomes',
    needs: 'events',
    messageOf: ({ outcomes = [] }) => ({
      outcomes: (outcomes as readonly StructValue[]).map(outcomeMessage),
    }),
  },
};

function candidatesMessage({
  model = '',
  requestId = '',
  modelVersion = '',
  label = '',
  user,
  context,
  items = [],
}: StructValue): StructValue {
  return {
    model,
    requestId,
    modelVersion,
    label,
    user: featuresMessage(user),
    context: featuresMessage(context),
    items: (items as readonly StructValue[]).map(featuresMessage),
  };
}

function explorationMessage(policy: StructValue | undefined): StructValue | null {
  return policy === undefined ? null : { type: '', ...policy };
}

function outcomeMessage({
  model = '',
  requestId = '',
  item,
  outcome: kind = '',
  timeMs,
  ...others
}: StructValue): StructValue {
  return {
    ...others,
    model,
    requestId,
    outcome: kind,
    item: item === undefined ? null : unionMessage(item as StructValue),
    ...(timeMs !== undefined && { timeMs: String(timeMs) }),
  };
}

function featuresMessage(map: unknown): { readonly values: StructValue } | null {
  if (map === undefined) return null;
  const values = Object.create(null) as Record<string, unknown>;
  for (const [name, value] of Object.entries(map as Readonly<Record<string, StructValue>>))
    values[name] = unionMessage(value);
  return { values };
}

/** A union names its part in `value`; integers are decimal text there. Of several parts, which no union has, the last counts. */
function unionMessage(union: StructValue): StructValue {
  const name = Object.keys(union).at(-1);
  if (name === undefined) return {};
  const value = union[name];
  if (name === 'values')
    return { value: 'list', list: { values: (value as readonly StructValue[]).map(unionMessage) } };
  return { value: name, [name]: name === 'integer' ? String(value) : value };
}
