/** Inference as the Open Inference Protocol has it, below both of its faces. */

import { refusedPart, shownValue } from '../refused-part.ts';
import type { Caller, ScoringService } from '../scoring-service.ts';
import { columnsFrom } from './columns.ts';
import { groupsFrom, type RowScores, scoreRows } from './score-rows.ts';
import { scoreOutput } from './signature.ts';
import type { Tensor } from './tensor.ts';

export type Parameters = Readonly<Record<string, string | number | boolean>>;

export interface InferRequest {
  readonly model: string;
  /** '' : none is named. */
  readonly version: string;
  readonly id: string;
  readonly parameters: Parameters;
  readonly inputs: readonly Tensor[];
  /** Names of the outputs wanted; none: all. */
  readonly outputs: readonly string[];
}

export interface InferAnswer {
  readonly scores: Float32Array;
  readonly version: string;
  readonly parameters: Parameters;
}

/**
 * Scores the rows of the inputs. An impression is logged only where the parameter `log` is true: callers of this protocol
 * probe, warm up and measure with requests that nobody was shown.
 * @throws MILL_MODEL_UNKNOWN, MILL_VERSION_UNKNOWN, MILL_BAD_REQUEST, and what ScoringService.score throws
 */
export async function infer(
  service: ScoringService,
  request: InferRequest,
  caller?: Caller,
): Promise<InferAnswer> {
  const file = service.fileOf(request.model);
  for (const output of request.outputs) {
    if (output !== scoreOutput.name)
      throw refusedPart('outputs', `only ${scoreOutput.name}`, shownValue(output));
  }
  const { log = false } = request.parameters;
  if (typeof log !== 'boolean') throw refusedPart('parameters.log', 'true or false', shownValue(log));
  const scored = await scoreRows(groupsFrom(columnsFrom(file, request.inputs)), {
    service,
    file,
    version: request.version,
    logAs: log ? { requestId: request.id === '' ? undefined : request.id } : null,
    caller,
  });
  return {
    scores: scored.scores,
    version: String(scored.modelVersion ?? scored.version),
    parameters: parametersOf(scored, log),
  };
}

function parametersOf(scored: RowScores, log: boolean): Parameters {
  const { version, versions, label, arms, requestIds, stalenessMs, degraded, engine } = scored;
  return {
    version,
    // A swap may fall between the batches of two users: then each says its own.
    ...(versions.some((other) => other !== version) && { versions: versions.join(',') }),
    ...(label !== null && { label }),
    ...(arms.some((arm) => arm !== '') && { arms: arms.join(',') }),
    ...(log && { request_ids: requestIds.join(',') }),
    ...(stalenessMs !== null && { staleness_ms: stalenessMs }),
    degraded,
    engine,
  };
}
