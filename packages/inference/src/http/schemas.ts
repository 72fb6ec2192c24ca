/**
 * JSON Schemas of the requests. They check what comes in and are published in /openapi.json, so that both cannot differ.
 *
 * A property that takes several types is one schema with a list of types: the keywords that follow apply to values of
 * their own type alone, and a value that breaks one gives one clear error, where `anyOf` would give one a branch.
 * A `description` beside a `pattern` or an `enum` is what an error says was wanted.
 */
import {
  eventsPerPostMax,
  featureCharsMax,
  featureValuesMax,
  outcomeNameCharsMax,
  scoreItemsMax,
} from '@millrace/protocol';

export const modelNameSchema = {
  type: 'string',
  pattern: '^[a-z][a-z0-9-]{0,39}$',
  description: 'a lower-case letter, then up to 39 lower-case letters, digits and dashes',
} as const;

export const requestIdSchema = {
  type: 'string',
  pattern: '^[A-Za-z0-9_.:-]{1,64}$',
  description: '1 to 64 letters, digits and _ . : -',
} as const;

/**
 * Integers beyond this are not exact in JSON as JavaScript reads it: two ids could become one key without a word. Such
 * ids travel as text.
 */
const numberMax = Number.MAX_SAFE_INTEGER;

const featureTextMax = { maxLength: featureCharsMax } as const;
const featureNumberRange = { minimum: -numberMax, maximum: numberMax } as const;

export const featuresSchema = {
  $id: 'Features',
  type: 'object',
  description:
    'Features by field name. Names that the model does not know are ignored. Ids beyond 2^53 go as text.',
  additionalProperties: {
    type: ['string', 'number', 'boolean', 'null', 'array'],
    ...featureTextMax,
    ...featureNumberRange,
    maxItems: featureValuesMax,
    items: { type: ['string', 'number'], ...featureTextMax, ...featureNumberRange },
  },
} as const;

export const versionLabelSchema = {
  type: 'string',
  pattern: '^[A-Za-z][A-Za-z0-9_-]{0,39}$',
  description: 'a letter, then up to 39 letters, digits, _ and -',
} as const;

/** Which line scores; a request takes one of both. */
const addressProperties = {
  version: {
    type: ['integer', 'string'],
    minimum: 1,
    maximum: numberMax,
    pattern: '^live$',
    description: 'the number of a version, or "live"',
  },
  label: {
    ...versionLabelSchema,
    title: 'label to follow; without it and version: stable where it is set, else the live line',
  },
} as const;

export const scoreRequestSchema = {
  $id: 'ScoreRequest',
  type: 'object',
  required: ['items'],
  additionalProperties: false,
  properties: {
    model: { ...modelNameSchema, title: 'may be left out when the cluster has exactly one model' },
    ...addressProperties,
    requestId: { ...requestIdSchema, title: 'made by the server when absent; outcomes refer to it' },
    user: { $ref: 'Features#' },
    context: { $ref: 'Features#' },
    items: { type: 'array', minItems: 1, maxItems: scoreItemsMax, items: { $ref: 'Features#' } },
    log: { type: 'boolean', description: 'false: no impression is logged, so nothing is learned from it' },
  },
} as const;

export const explorationSchema = {
  $id: 'Exploration',
  type: 'object',
  required: ['type'],
  additionalProperties: false,
  description: 'How the order is drawn; each policy takes its own parameter alone. Default: epsilon-greedy.',
  properties: {
    type: {
      type: 'string',
      enum: ['epsilon-greedy', 'softmax', 'thompson', 'greedy'],
      description: 'epsilon-greedy, softmax, thompson or greedy',
    },
    epsilon: { type: 'number', minimum: 0, maximum: 1, title: 'of epsilon-greedy; 0.05 when absent' },
    temperature: { type: 'number', minimum: 1e-3, maximum: 1e3, title: 'of softmax; 0.1 when absent' },
    scale: { type: 'number', minimum: 0, maximum: 1e3, title: 'of thompson; 1 when absent' },
  },
} as const;

export const rankRequestSchema = {
  $id: 'RankRequest',
  type: 'object',
  required: ['items'],
  additionalProperties: false,
  properties: {
    model: scoreRequestSchema.properties.model,
    ...addressProperties,
    requestId: scoreRequestSchema.properties.requestId,
    user: { $ref: 'Features#' },
    context: { $ref: 'Features#' },
    items: scoreRequestSchema.properties.items,
    exploration: { $ref: 'Exploration#' },
    count: { type: 'integer', minimum: 1, maximum: scoreItemsMax, title: 'items wanted; all when absent' },
  },
} as const;

const outcomeKeywords = {
  required: ['requestId'],
  additionalProperties: false,
  properties: {
    model: modelNameSchema,
    requestId: requestIdSchema,
    index: {
      type: 'integer',
      minimum: 0,
      maximum: scoreItemsMax - 1,
      description: 'place of the item in the score request; 0 when absent',
    },
    item: {
      type: ['string', 'number'],
      ...featureTextMax,
      ...featureNumberRange,
      description: 'or, in place of the index, its value of the model’s item field',
    },
    outcome: {
      type: 'string',
      minLength: 1,
      maxLength: outcomeNameCharsMax,
      title: 'kind of outcome, one of the model’s; click when absent',
    },
    value: {
      type: 'number',
      minimum: 0,
      maximum: numberMax,
      title: '1 (a click, the default) or 0 (known not to be clicked); an amount for other kinds',
    },
    timeMs: {
      type: 'number',
      minimum: 0,
      maximum: numberMax,
      title: 'when it happened, Unix ms; now when absent',
    },
  },
  not: { type: 'object', required: ['index', 'item'], description: 'index or item, not both' },
} as const;

export const outcomeRequestSchema = { $id: 'OutcomeRequest', type: 'object', ...outcomeKeywords } as const;

/** One outcome or an array of them; the keywords of an object and of an array do not meet. */
export const outcomesRequestSchema = {
  $id: 'OutcomesRequest',
  type: ['object', 'array'],
  ...outcomeKeywords,
  maxItems: eventsPerPostMax,
  items: { $ref: 'OutcomeRequest#' },
} as const;

/** Its parts are checked by the model package, which knows the rules between them. */
export const modelFileSchema = { $id: 'ModelFile', type: 'object', additionalProperties: true } as const;

export const modelParamsSchema = {
  type: 'object',
  required: ['name'],
  properties: { name: modelNameSchema },
} as const;

export const rejectedQuerySchema = {
  type: 'object',
  additionalProperties: false,
  properties: { model: modelNameSchema },
} as const;

/** Query of a route that takes none, so that a misplaced parameter is refused rather than overlooked. */
export const noQuerySchema = { type: 'object', additionalProperties: false, properties: {} } as const;

export const requestSchemas = [
  featuresSchema,
  scoreRequestSchema,
  explorationSchema,
  rankRequestSchema,
  outcomeRequestSchema,
  outcomesRequestSchema,
  modelFileSchema,
] as const;
