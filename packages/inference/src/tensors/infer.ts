/** Inference as the Open Inference Protocol has it, below both of its faces. */
import { liveLabel } from '@millrace/protocol';
import { type Clock, systemClock } from '@millrace/runtime';
import { refusedPart, shownValue } from '../refused-part.ts';
import type { Caller, ScoringService } from '../scoring-service.ts';
import { within } from '../time-limit.ts';
import { columnsFrom } from './columns.ts';
import { termsFrom } from './request-terms.ts';
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
  readonly shape: readonly number[];
  /** '' where rows were scored by different versions: the parameter `model_versions` then tells that of each user. */
  readonly version: string;
  readonly parameters: Parameters;
}

/**
 * Scores the rows of the inputs. An impression is logged only where the parameter `log` is true: callers of this protocol
 * probe, warm up and measure with requests that nobody was shown.
 * @throws MILL_MODEL_UNKNOWN, MILL_VERSION_UNKNOWN, MILL_BAD_REQUEST, MILL_TIMEOUT, and what ScoringService.score throws
 */
export async function infer(
  service: ScoringService,
  request: InferRequest,
  asker?: Caller,
  clock: Clock = systemClock,
): Promise<InferAnswer> {
  const file = service.fileOf(request.model);
  for (const output of request.outputs) {
    if (output !== scoreOutput.name)
      throw refusedPart('outputs', `only ${scoreOutput.name}`, shownValue(output));
  }
  const { log = false } = request.parameters;
  if (typeof log !== 'boolean') throw refusedPart('parameters.log', 'true or false', shownValue(log));
  const { caller, timeoutMs } = termsFrom(request.parameters, asker, clock);
  const work = scoreRows(groupsFrom(columnsFrom(file, request.inputs)), {
    service,
    file,
    version: request.version,
    logAs: log ? { requestId: request.id === '' ? undefined : request.id } : null,
    caller,
  });
  const scored = await (timeoutMs === null ? work : within(timeoutMs, work));
  return {
    scores: scored.scores,
    shape: scored.shape,
    version: versionOf(scored),
    parameters: parametersOf(scored, log),
  };
}

/** Of the live line it is the dense version, of which the newest is told where a swap fell between two users. */
function versionOf({ answers }: RowScores): string {
  const [{ modelVersion }] = answers;
  if (answers.some((other) => other.modelVersion !== modelVersion)) return '';
  return String(modelVersion ?? Math.max(...answers.map(({ version }) => version)));
}

function parametersOf({ answers, stalenessMs, degraded }: RowScores, log: boolean): Parameters {
  const arms = answers.map(({ arm = '' }) => arm);
  return {
    version: Math.max(...answers.map(({ version }) => version)),
    ...listed(
      'versions',
      answers.map(({ version }) => version),
    ),
    ...listed(
      'model_versions',
      answers.map(({ modelVersion = liveLabel }) => modelVersion),
    ),
    ...toldOnce(
      'label',
      'labels',
      answers.map(({ label = '' }) => label),
    ),
    ...(arms.some((arm) => arm !== '') && { arms: arms.join(',') }),
    ...(log && { request_ids: answers.map(({ requestId }) => requestId).join(',') }),
    ...(stalenessMs !== null && { staleness_ms: stalenessMs }),
    degraded,
    ...toldOnce(
      'engine',
      'engines',
      answers.map(({ engine }) => engine),
    ),
  };
}

/** What the users have in common under one name, or that of each under another; nothing where it is ''. */
function toldOnce(name: string, names: string, values: readonly string[]): Parameters {
  if (values.some((value) => value !== values[0])) return listed(names, values);
  return values[0] === '' ? {} : { [name]: values[0] };
}

/** One value a user, in the order of their first rows, where they differ. */
function listed(name: string, values: readonly (string | number)[]): Parameters {
  return values.some((value) => value !== values[0]) ? { [name]: values.join(',') } : {};
}
