/** JSON Schemas of the experiment routes: what comes in, and what goes out. */
import { versionNoteCharsMax } from '@millrace/protocol';
import { modelNameSchema } from './schemas.ts';

const text = { type: 'string' } as const;
const number = { type: 'number' } as const;
const figure = { type: ['number', 'null'] } as const;
const words = { type: 'string', maxLength: versionNoteCharsMax } as const;
const open = { type: 'object', additionalProperties: true } as const;

/** Its parts are checked by the experiments package, which knows the rules between them. */
export const experimentSpecSchema = { $id: 'ExperimentSpec', ...open } as const;

export const setSharesRequestSchema = {
  $id: 'SetSharesRequest',
  type: 'object',
  required: ['shares'],
  additionalProperties: false,
  properties: {
    shares: {
      type: 'object',
      minProperties: 1,
      additionalProperties: { type: 'number', minimum: 0, maximum: 1 },
      description: 'by arm; arms that are not named keep theirs',
    },
    reason: { ...words, title: 'kept with the change' },
  },
} as const;

export const stopExperimentRequestSchema = {
  $id: 'StopExperimentRequest',
  type: ['object', 'null'],
  additionalProperties: false,
  properties: {
    keep: { type: ['string', 'null'], title: 'arm whose target scores on for everybody; null: none' },
    reason: { ...words, title: 'kept with the change' },
  },
} as const;

export const experimentParamsSchema = {
  type: 'object',
  required: ['name', 'experiment'],
  properties: { name: modelNameSchema, experiment: modelNameSchema },
} as const;

const rate = {
  type: ['object', 'null'],
  properties: { value: number, interval: { type: ['array', 'null'], items: number } },
} as const;

const offPolicy = {
  type: 'object',
  required: ['policy', 'ranks', 'reason'],
  properties: {
    policy: { ...text, description: 'what is judged: greedy, the arm’s scores alone in first place' },
    ranks: { ...number, description: 'orders drawn with logged propensities' },
    drawn: { ...rate, description: 'click rate of first places as they were drawn' },
    snips: { ...rate, description: 'the policy’s, self-normalised inverse propensity score' },
    dr: { ...rate, description: 'the policy’s, doubly robust with the answered scores as the model' },
    effectiveSampleSize: number,
    meanWeight: figure,
    reason: {
      type: ['string', 'null'],
      description: 'why there are no figures, or what speaks against them',
    },
  },
} as const;

const armReport = {
  type: 'object',
  required: ['name', 'share', 'shown', 'clicked', 'offPolicy'],
  properties: {
    name: text,
    share: number,
    target: open,
    learn: text,
    shadow: { type: 'boolean' },
    takenOut: { type: ['string', 'null'], description: 'why a guard took it out; null: none did' },
    shown: number,
    clicked: number,
    clickRate: figure,
    values: {
      type: 'array',
      items: { type: 'object', properties: { kind: text, sum: number, mean: figure } },
    },
    calibration: figure,
    logloss: figure,
    offPolicy,
    units: { ...figure, description: 'distinct units since the shares were last changed' },
    scoring: { type: ['object', 'null'], additionalProperties: true },
  },
} as const;

const sampleRatio = {
  type: 'object',
  required: ['arms', 'units', 'mismatch', 'verdict'],
  properties: {
    arms: {
      type: 'array',
      items: { type: 'object', properties: { name: text, expected: number, found: number } },
    },
    units: { ...number, description: 'distinct units that it is judged by' },
    pValue: { ...figure, description: 'of units dealt as the shares say; null: not judged' },
    mismatch: { type: 'boolean', description: 'units do not come as dealt: trust no difference' },
    verdict: text,
  },
} as const;

const comparison = {
  type: 'object',
  required: ['arm', 'metric', 'verdict'],
  properties: {
    arm: text,
    metric: text,
    control: number,
    value: number,
    difference: number,
    interval: {
      type: ['array', 'null'],
      items: number,
      description: 'holds at every look; null while there is too little to say anything',
    },
    pValue: figure,
    verdict: text,
  },
} as const;

export const experimentReportSchema = {
  $id: 'ExperimentReport',
  type: 'object',
  required: ['name', 'model', 'arms', 'sampleRatio', 'comparisons', 'verdict'],
  properties: {
    name: text,
    model: text,
    layer: text,
    key: text,
    salt: text,
    control: text,
    confidence: number,
    guards: open,
    note: text,
    startedMs: number,
    endedMs: figure,
    kept: { type: ['string', 'null'] },
    arms: { type: 'array', items: armReport },
    sampleRatio,
    comparisons: { type: 'array', items: comparison },
    changes: { type: 'array', items: open },
    verdict: text,
  },
} as const;

export const experimentListResponseSchema = {
  $id: 'ExperimentListResponse',
  type: 'object',
  required: ['experiments'],
  properties: { experiments: { type: 'array', items: { $ref: 'ExperimentReport#' } } },
} as const;

export const experimentSchemas = [
  experimentSpecSchema,
  setSharesRequestSchema,
  stopExperimentRequestSchema,
  experimentReportSchema,
  experimentListResponseSchema,
] as const;
