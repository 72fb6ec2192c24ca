/** What a node says of itself and its models in the Open Inference Protocol; both faces send these as they are. */
import { MillraceError, type ModelFile, type ModelListing } from '@millrace/protocol';
import type { ScoringService } from '../scoring-service.ts';
import type { Datatype } from './datatypes.ts';
import { inputsOf, scoreOutput } from './signature.ts';

/** What a listing says of a model that is being loaded. */
const noEngine = 'none yet';

/** Of all packages; a test compares it with package.json. */
export const serverVersion = '0.1.0';

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
  const { version, engine } = listingOf(service, file.name);
  return {
    name: file.name,
    versions: [String(version)],
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

/** Triton's statistics, as far as there are counts for them; what is not measured by model is left out. */
export function modelStatistics(service: ScoringService, models: readonly string[]): object {
  return {
    model_stats: models.map((model) => {
      const { items, batches, lastMs } = service.scoredBy(model);
      return {
        name: model,
        version: String(listingOf(service, model).version),
        last_inference: lastMs ?? 0,
        inference_count: items,
        execution_count: batches,
      };
    }),
  };
}

/** True once this node can score with the model. */
export function isReady(service: ScoringService, model: string): boolean {
  return listingOf(service, model).ready;
}

export function repositoryIndex(service: ScoringService) {
  return service.models().map(({ name, version, ready }) => ({
    name,
    version: String(version),
    state: ready ? 'READY' : 'LOADING',
    reason: '',
  }));
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

/** Refuses what a registry would be needed for. @throws MILL_UNSUPPORTED */
export function refuseUnload(model: string): never {
  throw new MillraceError(
    'MILL_UNSUPPORTED',
    `cannot unload model "${model}": every node serves every model of its cluster; stop sending it requests instead`,
  );
}
