/** Tensors and parameters of gRPC messages: typed contents by datatype, or raw bytes for all inputs. */
import { refusedPart } from '../refused-part.ts';
import type { Datatype } from '../tensors/datatypes.ts';
import { exact } from '../tensors/datatypes.ts';
import type { Parameters } from '../tensors/infer.ts';
import { tensorFromBytes, textFrom } from '../tensors/raw-tensor.ts';
import { pathOf, type Tensor, tensorHead, tensorOf } from '../tensors/tensor.ts';

export interface InputMessage {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly string[];
  readonly parameters: Readonly<Record<string, ParameterMessage>>;
  readonly contents: Readonly<Record<string, readonly unknown[]>> | null;
}

export interface ParameterMessage {
  readonly parameter_choice?: string;
  readonly [choice: string]: unknown;
}

/** Where typed contents of a datatype stand; FP16 has no place. */
const contentsOf: Readonly<Record<Datatype, string | null>> = {
  BOOL: 'bool_contents',
  INT8: 'int_contents',
  INT16: 'int_contents',
  INT32: 'int_contents',
  INT64: 'int64_contents',
  UINT8: 'uint_contents',
  UINT16: 'uint_contents',
  UINT32: 'uint_contents',
  UINT64: 'uint64_contents',
  FP16: null,
  FP32: 'fp32_contents',
  FP64: 'fp64_contents',
  BYTES: 'bytes_contents',
};

/**
 * The inputs with their values.
 * @throws MILL_BAD_REQUEST when typed and raw contents are mixed, or one is not where its datatype has it.
 */
export function tensorsFrom(inputs: readonly InputMessage[], raw: readonly Buffer[]): readonly Tensor[] {
  if (inputs.length === 0) throw refusedPart('inputs', 'at least one', 'none');
  if (raw.length > 0 && raw.length !== inputs.length)
    throw refusedPart(
      'raw_input_contents',
      `one for each of the ${inputs.length} inputs`,
      String(raw.length),
    );
  return inputs.map((input, i) => {
    const head = tensorHead(input.name, input.datatype, input.shape.map(Number));
    if (input.parameters.shared_memory_region)
      throw refusedPart(`${pathOf(input.name)}.parameters`, 'no shared_memory_region', 'one');
    const filled = Object.entries(input.contents ?? {}).filter(([, values]) => values.length > 0);
    const wanted = raw.length > 0 ? null : contentsOf[head.datatype];
    const wrong = filled.find(([place]) => place !== wanted);
    if (wrong) {
      const what = raw.length > 0 ? 'raw contents alone' : `contents in ${wanted ?? 'raw_input_contents'}`;
      throw refusedPart(pathOf(input.name), what, wrong[0]);
    }
    if (raw.length > 0) return tensorFromBytes(head, raw[i]);
    const values = filled[0]?.[1] ?? [];
    if (head.datatype !== 'BYTES') return tensorOf(head, values);
    const texts = values.map((bytes) => textFrom(input.name, bytes as Buffer));
    return tensorOf(head, texts);
  });
}

/** Parameters by name; 64-bit integers as numbers where a double holds them. */
export function parametersFrom(
  path: string,
  messages: Readonly<Record<string, ParameterMessage>>,
): Parameters {
  return Object.fromEntries(
    Object.entries(messages).map(([name, message]) => {
      const { parameter_choice: choice = '' } = message;
      const value = message[choice];
      if (value === undefined) throw refusedPart(`${path}.${name}`, 'a value', 'nothing');
      const isLong = choice === 'int64_param' || choice === 'uint64_param';
      return [name, isLong ? exact(BigInt(value as string)) : (value as string | number | boolean)];
    }),
  );
}

export function parameterMessage(value: string | number | boolean): object {
  if (typeof value === 'string') return { string_param: value };
  if (typeof value === 'boolean') return { bool_param: value };
  return Number.isSafeInteger(value) ? { int64_param: value } : { double_param: value };
}
