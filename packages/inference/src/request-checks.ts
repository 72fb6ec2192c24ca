/**
 * The schemas of the native requests as functions, for the faces whose requests do not come as JSON over the native routes.
 * What they build is checked by the very schemas that the native routes publish.
 */
import type { OutcomeRequest, RankRequest, ScoreRequest } from '@millrace/protocol';
import { Ajv } from 'ajv';
import { badRequestFrom, type SchemaFinding } from './http/bad-request.ts';
import { requestSchemas } from './http/schemas.ts';

/** Gives the value back as what the schema says it is. @throws MILL_BAD_REQUEST naming path, wanted and found. */
export type Check<T> = (value: unknown) => T;

const ajv = new Ajv({ verbose: true, allowUnionTypes: true });
for (const schema of requestSchemas) ajv.addSchema(schema);

/** A check of `schema`, which may refer to the native ones by name. It is compiled at its first use. */
export function checkOf<T>(schema: object): Check<T> {
  return (value) => {
    const validate = ajv.compile(schema);
    if (validate(value)) return value as T;
    throw badRequestFrom((validate.errors ?? []) as SchemaFinding[], 'body');
  };
}

export const checkScoreRequest = checkOf<ScoreRequest>({ $ref: 'ScoreRequest#' });
export const checkRankRequest = checkOf<RankRequest>({ $ref: 'RankRequest#' });
export const checkOutcomes = checkOf<readonly OutcomeRequest[]>({ $ref: 'OutcomesRequest#' });
