/**
 * Bodies of infer requests. With the header `Inference-Header-Content-Length: n` (binary tensor extension) the first n bytes
 * are JSON, and behind them stand the bytes of the inputs that say `binary_data_size`, in the order of the inputs.
 */
import { fieldsMax } from '@millrace/protocol';
import { refusedPart, shownValue } from '../../refused-part.ts';
import { checkOf } from '../../request-checks.ts';
import type { InferRequest, Parameters } from '../../tensors/infer.ts';
import { tensorFromBytes } from '../../tensors/raw-tensor.ts';
import { flatFrom, pathOf, type Tensor, tensorHead, tensorOf } from '../../tensors/tensor.ts';
import { badHeader, type ReadJson } from '../json-body.ts';

export const headerLength = 'inference-header-content-length';

/** A body as it was cut apart. */
export interface CutBody {
  readonly json: unknown;
  /** Bytes behind the JSON; empty without the header. */
  readonly binary: Buffer;
}

/** Cuts a body where the header says, and reads its JSON. */
export function cutBody(readJson: ReadJson): ReadJson {
  return (request, body, done) => {
    const header = request.headers[headerLength];
    const length = header === undefined ? body.byteLength : Number(header);
    if (!Number.isInteger(length) || length < 0 || length > body.byteLength || header === '')
      return done(
        badHeader(headerLength, `a number of bytes up to the body's ${body.byteLength}`, String(header)),
      );
    return readJson(request, body.subarray(0, length), (error, json) =>
      done(error, error ? undefined : ({ json, binary: body.subarray(length) } satisfies CutBody)),
    );
  };
}

interface InferJson {
  readonly id?: string;
  readonly parameters?: Parameters;
  readonly inputs: readonly InputJson[];
  readonly outputs?: readonly { readonly name: string; readonly parameters?: Parameters }[];
}

interface InputJson {
  readonly name: string;
  readonly shape: readonly number[];
  readonly datatype: string;
  readonly parameters?: Parameters;
  readonly data?: readonly unknown[];
}

const parametersSchema = {
  type: 'object',
  additionalProperties: { type: ['string', 'number', 'boolean'] },
};
const nameSchema = { type: 'string', maxLength: 256 };
const checkInfer = checkOf<InferJson>({
  type: 'object',
  required: ['inputs'],
  properties: {
    id: { type: 'string', maxLength: 256 },
    parameters: parametersSchema,
    inputs: {
      type: 'array',
      minItems: 1,
      maxItems: fieldsMax,
      items: {
        type: 'object',
        required: ['name', 'shape', 'datatype'],
        properties: {
          name: nameSchema,
          shape: { type: 'array', items: { type: 'integer' }, maxItems: 64 },
          datatype: { type: 'string' },
          parameters: parametersSchema,
          data: { type: 'array' },
        },
      },
    },
    outputs: {
      type: 'array',
      maxItems: fieldsMax,
      items: {
        type: 'object',
        required: ['name'],
        properties: { name: nameSchema, parameters: parametersSchema },
      },
    },
  },
});

export interface InferBody extends Omit<InferRequest, 'model' | 'version'> {
  /** Wants its scores as bytes behind the JSON. */
  readonly binaryOutput: boolean;
}

/** @throws MILL_BAD_REQUEST */
export function inferBodyFrom({ json, binary }: CutBody): InferBody {
  const { id = '', parameters = {}, inputs, outputs = [] } = checkInfer(json);
  let at = 0;
  const tensors = inputs.map((input): Tensor => {
    const head = tensorHead(input.name, input.datatype, input.shape);
    const size = input.parameters?.binary_data_size;
    refuseParameters(pathOf(input.name), input.parameters);
    if (size === undefined) {
      if (input.data === undefined)
        throw refusedPart(pathOf(input.name), 'data or binary_data_size', 'neither');
      return tensorOf(head, flatFrom(head, input.data));
    }
    if (input.data !== undefined) throw refusedPart(pathOf(input.name), 'data or binary_data_size', 'both');
    const left = binary.byteLength - at;
    if (typeof size !== 'number' || !Number.isInteger(size) || size < 0 || size > left)
      throw refusedPart(
        `${pathOf(input.name)}.parameters.binary_data_size`,
        `a number of bytes up to the ${left} that are left`,
        shownValue(size),
      );
    at += size;
    return tensorFromBytes(head, binary.subarray(at - size, at));
  });
  if (at !== binary.byteLength)
    throw refusedPart('body', `${at} bytes behind the JSON`, String(binary.byteLength));
  for (const output of outputs) refuseParameters(`outputs.${output.name}`, output.parameters);
  const wished = outputs.find(({ parameters: own }) => own?.binary_data !== undefined)?.parameters
    ?.binary_data;
  return {
    id,
    parameters,
    inputs: tensors,
    outputs: outputs.map(({ name }) => name),
    binaryOutput: (wished ?? parameters.binary_data_output) === true,
  };
}

/** Parameters that would change the answer, and that nothing here can do, are not passed over. */
function refuseParameters(path: string, parameters: Parameters = {}): void {
  for (const name of ['shared_memory_region', 'classification']) {
    if (parameters[name] !== undefined)
      throw refusedPart(`${path}.parameters`, `no ${name}, which this server does not have`, 'one');
  }
}
