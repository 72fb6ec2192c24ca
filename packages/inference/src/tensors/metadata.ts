/** What a node says of itself and its models in the Open Inference Protocol; both faces send these as they are. */
import { MillraceError, type ModelFile, type ModelListing } from '@millrace/protocol';
import type { ScoringService } from '../scoring-service.ts';
import type { Datatype } from './datatypes.ts';
import { inputsOf, scoreOutput } from './signature.ts';

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
  return { name: 'millrace', version: serverVersion, extensions: ['binary_tensor_data', 'model_repository'] };
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
