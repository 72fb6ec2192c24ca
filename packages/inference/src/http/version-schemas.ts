/** JSON Schemas of the version routes: what comes in, and what goes out. */
import { versionLabelsMax, versionNoteCharsMax, versionsMax } from '@millrace/protocol';
import { modelNameSchema, versionLabelSchema } from './schemas.ts';

const number = { type: 'integer', minimum: 1, maximum: Number.MAX_SAFE_INTEGER } as const;
const words = { type: 'string', maxLength: versionNoteCharsMax } as const;

export const takeVersionRequestSchema = {
  $id: 'TakeVersionRequest',
  type: ['object', 'null'],
  additionalProperties: false,
  properties: {
    note: words,
    labels: { type: 'array', maxItems: versionLabelsMax, items: versionLabelSchema },
  },
} as const;

export const setLabelRequestSchema = {
  $id: 'SetLabelRequest',
  type: 'object',
  required: ['version'],
  additionalProperties: false,
  properties: {
    version: number,
    reason: { ...words, title: 'kept with the move' },
    from: {
      type: ['integer', 'null'],
      minimum: 1,
      title: 'where the label must point now, else nothing is changed; null: nowhere',
    },
  },
} as const;

/** Which parameter goes with which type is checked beyond the schema (version-routes.ts). */
export const versionPolicySchema = {
  $id: 'VersionPolicy',
  type: 'object',
  required: ['type'],
  additionalProperties: false,
  properties: {
    type: { type: 'string', enum: ['latest', 'all', 'specific'], description: 'latest, all or specific' },
    count: { type: 'integer', minimum: 0, maximum: versionsMax, title: 'of latest; 1 when absent' },
    versions: { type: 'array', maxItems: versionsMax, items: number, title: 'of specific' },
  },
} as const;

const params = (required: readonly string[]) => ({
  type: 'object',
  required: ['name', ...required],
  properties: {
    name: modelNameSchema,
    version: { type: 'string', pattern: '^[1-9][0-9]{0,14}$', description: 'the number of a version' },
    label: versionLabelSchema,
  },
});
export const versionParamsSchema = params(['version']);
export const labelParamsSchema = params(['label']);

export const reasonQuerySchema = {
  type: 'object',
  additionalProperties: false,
  properties: { reason: { ...words, title: 'kept with the move' } },
} as const;

export const versionRequestSchemas = [
  takeVersionRequestSchema,
  setLabelRequestSchema,
  versionPolicySchema,
] as const;
