import type { ModelFile } from '@millrace/protocol';
import type { TensorMetadata } from '../../tensors/metadata.ts';
import { inputsOf, scoreOutput } from '../../tensors/signature.ts';
import { servingDefault } from './tfs-json.ts';

/** TensorFlow's names of the datatypes that metadata mentions. */
const dtypes: Readonly<Record<string, string>> = { BYTES: 'DT_STRING', FP32: 'DT_FLOAT' };

/** Answer to `/metadata`: one signature with every field as an input. */
export function tfsMetadata(file: ModelFile, version: string): object {
  const inputs = [...inputsOf(file).values()];
  const signature = {
    inputs: Object.fromEntries(inputs.map((input) => [input.name, tensorInfo(input)])),
    outputs: { [scoreOutput.name]: tensorInfo(scoreOutput) },
    method_name: 'tensorflow/serving/predict',
  };
  return {
    model_spec: { name: file.name, signature_name: '', version },
    metadata: { signature_def: { signature_def: { [servingDefault]: signature } } },
  };
}

function tensorInfo({ name, datatype, shape }: TensorMetadata): object {
  return {
    dtype: dtypes[datatype],
    tensor_shape: { dim: shape.map((size) => ({ size: String(size), name: '' })), unknown_rank: false },
    name: `${name}:0`,
  };
}
