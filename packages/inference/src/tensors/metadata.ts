/** What a node says of itself and its models in the Open Inference Protocol; both faces send these as they are. */
import {
  isMillraceError,
  liveLabel,
  MillraceError,
  type ModelFile,
  type ModelListing,
  type ServedVersion,
} from '@millrace/protocol';
import { clipped, refusedPart, shownValue } from '../refused-part.ts';
import { release } from '../release.ts';
import { noEngine, type ScoringService } from '../scoring-service.ts';
import type { Datatype } from './datatypes.ts';
import { inputsOf, scoreOutput } from './signature.ts';
import { versionNamed } from './version-address.ts';

export const serverVersion = release;

export interface TensorMetadata {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
}

export interface ModelMetadata {
  readonly name: string;
  readonly versions: readonly string[];
  readonly platform: string;
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
}

export function serverMetadata() {
  return {
    name: 'millrace',
    version: serverVersion,
    extensions: ['binary_tensor_data', 'model_repository', 'model_configuration', 'statistics'],
  };
}

export function modelMetadata(service: ScoringService, file: ModelFile): ModelMetadata {
  const { version, versions = [], engine } = listingOf(service, file.name);
  const ready = versions.filter(({ state }) => state === 'READY');
  return {
    name: file.name,
    versions:
      versions.length === 0 ? [String(version)] : [...ready.map((one) => String(one.version)), liveLabel],
    platform: `millrace-${engine.replaceAll(' ', '-')}`,
    inputs: [...inputsOf(file).values()].map(({ name, datatype, shape }) => ({ name, datatype, shape })),
    outputs: [scoreOutput],
  };
}

/** Names of the datatypes that metadata mentions, in a model configuration. */
const configTypes = { BYTES: 'TYPE_STRING', FP32: 'TYPE_FP32' } as const;

function configType(datatype: Datatype): string {
  return datatype === 'BYTES' || datatype === 'FP32' ? configTypes[datatype] : 'TYPE_INVALID';
}

/** Triton's model configuration: dims are whole shapes, since `max_batch_size` is 0; requests are batched all the same. */
export function modelConfig(service: ScoringService, file: ModelFile): object {
  const { name, platform, inputs, outputs } = modelMetadata(service, file);
  const part = ({ name: named, datatype, shape }: TensorMetadata) => ({
    name: named,
    data_type: configType(datatype),
    dims: shape,
  });
  return {
    name,
    platform,
    backend: 'millrace',
    max_batch_size: 0,
    input: inputs.map((input) => ({ ...part(input), optional: true })),
    output: outputs.map(part),
    dynamic_batching: {},
  };
}

/** Triton's statistics. Keys are made and rows pulled under `compute_input`; what is not measured by model is left out. */
export function modelStatistics(service: ScoringService, models: readonly string[]): object {
  return {
    model_stats: models.map((model) => {
      const counts = service.servedBy(model);
      const { answered, waitMs, pullMs, forwardMs, answerMs } = counts;
      return {
        name: model,
        version: String(listingOf(service, model).version),
        last_inference: counts.lastMs ?? 0,
        inference_count: counts.scored,
        execution_count: counts.batches,
        inference_stats: {
          success: took(answered, waitMs + pullMs + forwardMs + answerMs),
          fail: took(counts.failed, counts.failedMs),
          queue: took(answered, waitMs),
          compute_input: took(answered, pullMs),
          compute_infer: took(answered, forwardMs),
          compute_output: took(answered, answerMs),
        },
      };
    }),
  };
}

function took(count: number, ms: number) {
  return { count, ns: Math.round(1e6 * ms) };
}

/** True once this node can score with the model, at that version. @throws MILL_VERSION_UNKNOWN */
export function isReady(service: ScoringService, model: string, version: string): boolean {
  const { ready, versions } = listingOf(service, model);
  const { address } = versionNamed(service, model, version);
  if (typeof address.version !== 'number') return ready;
  return ready && versions?.find((one) => one.version === address.version)?.state === 'READY';
}

/** The same, and false of a model or a version that there is not: over gRPC Triton's clients ask so whether to load it. */
export function isReadyIfAny(service: ScoringService, model: string, version: string): boolean {
  try {
    return isReady(service, model, version);
  } catch (error) {
    if (isMillraceError(error, 'MILL_MODEL_UNKNOWN') || isMillraceError(error, 'MILL_VERSION_UNKNOWN'))
      return false;
    throw error;
  }
}

/** States as Triton has them. */
const repositoryStates = {
  READY: 'READY',
  LOADING: 'LOADING',
  FAILED: 'UNAVAILABLE',
  UNLOADED: 'UNAVAILABLE',
} as const satisfies Record<ServedVersion['state'], string>;

export function repositoryIndex(service: ScoringService) {
  return service.models().flatMap(({ name, version, versions = [], ready }) => [
    ...versions.map((one) => ({
      name,
      version: String(one.version),
      state: repositoryStates[one.state],
      reason: one.state === 'UNLOADED' ? 'unloaded' : one.reason,
    })),
    {
      name,
      version: versions.length === 0 ? String(version) : liveLabel,
      state: ready ? 'READY' : 'LOADING',
      reason: '',
    },
  ]);
}

/** What a change may say: which version, and what Triton's clients always send along; there are no dependents here. */
const changeParameters = ['version', 'unload_dependents'];

/**
 * Loads or unloads one version, or without a number what the policy wants.
 * @throws MILL_BAD_REQUEST where it says more, such as another configuration or files: models come from the registry.
 */
export async function changeLoaded(
  service: ScoringService,
  model: string,
  verb: 'load' | 'unload',
  parameters: Readonly<Record<string, unknown>>,
): Promise<object> {
  const { name } = service.fileOf(model);
  const other = Object.keys(parameters).find((named) => !changeParameters.includes(named));
  if (other !== undefined) throw refusedPart('parameters', `only ${changeParameters[0]}`, clipped(other));
  const { versions } = service;
  const { version } = parameters;
  if (version === undefined)
    await (verb === 'load' ? versions.loadByPolicy(name) : versions.unloadUnlabelled(name));
  else await versions[verb](name, numberFrom(version));
  return {};
}

function numberFrom(version: unknown): number {
  const number = typeof version === 'string' ? Number(version) : version;
  if (Number.isSafeInteger(number) && (number as number) > 0) return number as number;
  throw refusedPart('parameters.version', 'the number of a version', shownValue(version));
}

/** Of all models that this node serves by now. */
export function namesOf(service: ScoringService): readonly string[] {
  return service.models().flatMap(({ name, engine }) => (engine === noEngine ? [] : [name]));
}

/** @throws MILL_MODEL_UNKNOWN */
export function listingOf(service: ScoringService, model: string): ModelListing {
  const listing = service.models().find(({ name }) => name === model);
  if (listing) return listing;
  throw new MillraceError('MILL_MODEL_UNKNOWN', `there is no model ${JSON.stringify(model)}`);
}
