/**
 * An ONNX file of a multilayer perceptron: Gemm and Relu for each hidden layer, Gemm and Sigmoid at the end. Written as bytes
 * of Protocol Buffers: six messages of onnx.proto, of each the few fields that are needed.
 *
 *   ModelProto     ir_version 1, graph 7, opset_import 8        GraphProto  node 1, name 2, initializer 5, input 11, output 12
 *   NodeProto      input 1, output 2, op_type 4                 TensorProto dims 1, data_type 2, name 8, raw_data 9
 *   ValueInfoProto name 1, type 2 { tensor_type 1 { elem_type 1, shape 2 { dim 1 { dim_value 1 | dim_param 2 } } } }
 *   OperatorSetIdProto domain 1, version 2
 */

export interface MlpLayer {
  readonly inputs: number;
  readonly units: number;
  /** float32[inputs, units], row-major. */
  readonly kernel: Float32Array;
  readonly bias: Float32Array;
}

const irVersion = 8;
const opset = 17;
const float = 1;

/** Input `x` float32[rows, inputs of the first layer], output `score` float32[rows, 1]. */
export function onnxFromMlp(layers: readonly MlpLayer[]): Uint8Array {
  const nodes: Buffer[] = [];
  const tensors: Buffer[] = [];
  let input = 'x';
  for (const [l, { inputs, units, kernel, bias }] of layers.entries()) {
    const isLast = l === layers.length - 1;
    tensors.push(tensor(`w${l}`, [inputs, units], kernel), tensor(`b${l}`, [units], bias));
    nodes.push(node('Gemm', [input, `w${l}`, `b${l}`], `z${l}`));
    const output = isLast ? 'score' : `a${l}`;
    nodes.push(node(isLast ? 'Sigmoid' : 'Relu', [`z${l}`], output));
    input = output;
  }
  const graph = Buffer.concat([
    ...nodes.map((bytes) => part(1, bytes)),
    text(2, 'mlp'),
    ...tensors.map((bytes) => part(5, bytes)),
    part(11, valueInfo('x', layers[0].inputs)),
    part(12, valueInfo('score', 1)),
  ]);
  const operators = Buffer.concat([text(1, ''), number(2, opset)]);
  return Buffer.concat([number(1, irVersion), part(7, graph), part(8, operators)]);
}

function node(operator: string, inputs: readonly string[], output: string): Buffer {
  return Buffer.concat([...inputs.map((name) => text(1, name)), text(2, output), text(4, operator)]);
}

function tensor(name: string, dims: readonly number[], floats: Float32Array): Buffer {
  const raw = Buffer.from(floats.buffer, floats.byteOffset, floats.byteLength);
  return Buffer.concat([
    ...dims.map((size) => number(1, size)),
    number(2, float),
    text(8, name),
    part(9, raw),
  ]);
}

function valueInfo(name: string, width: number): Buffer {
  const shape = Buffer.concat([part(1, text(2, 'rows')), part(1, number(1, width))]);
  const type = part(1, Buffer.concat([number(1, float), part(2, shape)]));
  return Buffer.concat([text(1, name), part(2, type)]);
}

/** A field of wire type 2: its length, then its bytes. */
function part(field: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([varint((field << 3) | 2), varint(bytes.length), bytes]);
}

function text(field: number, value: string): Buffer {
  return part(field, Buffer.from(value));
}

/** A field of wire type 0. */
function number(field: number, value: number): Buffer {
  return Buffer.concat([varint(field << 3), varint(value)]);
}

/** @param value  a whole number from 0 to 2^31 − 1. */
function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}
