/** GRPCInferenceService of the Open Inference Protocol, with the model repository extension. */
import type { Clock } from '@millrace/runtime';
import { refusedPart } from '../refused-part.ts';
import type { ScoringService } from '../scoring-service.ts';
import { type InferAnswer, infer, type Parameters } from '../tensors/infer.ts';
import {
  changeLoaded,
  isReadyIfAny,
  modelConfig,
  modelMetadata,
  modelStatistics,
  namesOf,
  repositoryIndex,
  serverMetadata,
} from '../tensors/metadata.ts';
import { bytesFromTensor } from '../tensors/raw-tensor.ts';
import { scoreOutput } from '../tensors/signature.ts';
import { versionNamed } from '../tensors/version-address.ts';
import {
  type InputMessage,
  type ParameterMessage,
  parameterMessage,
  parametersFrom,
  tensorsFrom,
} from './tensor-messages.ts';
import type { Answer } from './unary.ts';

interface NamedMessage {
  readonly name: string;
  readonly version: string;
}

interface ChangeMessage {
  readonly model_name: string;
  readonly parameters: Readonly<Record<string, ParameterMessage>>;
}

export interface InferMessage {
  readonly model_name: string;
  readonly model_version: string;
  readonly id: string;
  readonly parameters: Readonly<Record<string, ParameterMessage>>;
  readonly inputs: readonly InputMessage[];
  readonly outputs: readonly {
    readonly name: string;
    readonly parameters: Readonly<Record<string, ParameterMessage>>;
  }[];
  readonly raw_input_contents: readonly Buffer[];
}

export function inferenceAnswers(service: ScoringService, clock: Clock): Readonly<Record<string, Answer>> {
  const found = ({ name, version }: NamedMessage) => {
    const file = service.fileOf(name);
    versionNamed(service, name, version);
    return file;
  };
  const modelReady: Answer<NamedMessage> = ({ name, version }) => ({
    ready: isReadyIfAny(service, name, version),
  });
  const metadata: Answer<NamedMessage> = (message) => modelMetadata(service, found(message));
  const config: Answer<NamedMessage> = (message) => ({ config: modelConfig(service, found(message)) });
  const statistics: Answer<NamedMessage> = (message) =>
    modelStatistics(service, message.name === '' ? namesOf(service) : [found(message).name]);
  const modelInfer: Answer<InferMessage> = async (message, caller) => {
    for (const { name, parameters } of message.outputs)
      if (parameters.classification)
        throw refusedPart(`outputs.${name}.parameters`, 'no classification', 'one');
    const answer = await infer(
      service,
      {
        model: message.model_name,
        version: message.model_version,
        id: message.id,
        parameters: parametersFrom('parameters', message.parameters),
        inputs: tensorsFrom(message.inputs, message.raw_input_contents),
        outputs: message.outputs.map(({ name }) => name),
      },
      caller,
      clock,
    );
    return {
      model_name: message.model_name,
      model_version: answer.version,
      id: message.id,
      parameters: parameterMessages(answer.parameters),
      ...outputOf(answer, message.raw_input_contents.length > 0),
    };
  };
  const index: Answer<{ readonly ready: boolean }> = ({ ready }) => ({
    models: repositoryIndex(service).filter(({ state }) => !ready || state === 'READY'),
  });
  const change =
    (verb: 'load' | 'unload'): Answer<ChangeMessage> =>
    ({ model_name: model, parameters }) =>
      changeLoaded(service, model, verb, parametersFrom('parameters', parameters));
  return {
    ServerLive: () => ({ live: true }),
    ServerReady: () => ({ ready: service.ready }),
    ModelReady: modelReady,
    ServerMetadata: () => serverMetadata(),
    ModelMetadata: metadata,
    ModelInfer: modelInfer,
    ModelConfig: config,
    ModelStatistics: statistics,
    RepositoryIndex: index,
    RepositoryModelLoad: change('load'),
    RepositoryModelUnload: change('unload'),
  };
}

/** Scores in the form of the inputs: raw bytes for raw bytes, typed contents for typed ones. */
function outputOf({ scores, shape }: InferAnswer, raw: boolean): object {
  const { name, datatype } = scoreOutput;
  const values = Array.from(scores);
  if (!raw) return { outputs: [{ name, datatype, shape, contents: { fp32_contents: values } }] };
  return {
    outputs: [{ name, datatype, shape }],
    raw_output_contents: [bytesFromTensor({ name, datatype, shape, values })],
  };
}

function parameterMessages(parameters: Parameters): object {
  return Object.fromEntries(
    Object.entries(parameters).map(([name, value]) => [name, parameterMessage(value)]),
  );
}
