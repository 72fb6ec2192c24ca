/**
 * Writes the messages of onnx.proto that a net needs, as protobuf bytes: a file of ours would otherwise want the whole schema
 * and a library for it. Field numbers are those of onnx/onnx.proto (Apache-2.0), which never change.
 *
 *   varint   7 bits a byte, low ones first, the top bit set on all but the last
 *   field    varint(number << 3 | wire type), then a varint (type 0), four bytes (5), or varint(length) and as many bytes (2)
 */

/** What elements a tensor has; the values are those of TensorProto.DataType. */
export const elementTypes = { float32: 1, int32: 6, int64: 7 } as const;
export type ElementType = keyof typeof elementTypes;

/** A tensor of fixed contents. */
export interface ConstantTensor {
  readonly name: string;
  readonly dims: readonly number[];
  /** Numbers are written as float32, bigints as int64. */
  readonly values: Float32Array | BigInt64Array;
}

/** What the outside hands in or takes out; a dimension with a name may have any size. */
export interface TensorInfo {
  readonly name: string;
  readonly type: ElementType;
  readonly dims: readonly (number | string)[];
}

export type Attribute =
  | { readonly name: string; readonly int: number }
  | { readonly name: string; readonly ints: readonly number[] };

export interface Node {
  readonly type: string;
  readonly inputs: readonly string[];
  readonly output: string;
  readonly attributes: readonly Attribute[];
}

export interface Graph {
  readonly name: string;
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  readonly constants: readonly ConstantTensor[];
  /** Each behind the nodes that it reads. */
  readonly nodes: readonly Node[];
}

/** Opset 17 has every operator used here and is run by ONNX Runtime from 1.12 on; format 8 is the one of its time. */
const opsetVersion = 17;
const formatVersion = 8;
const attributeTypes = { int: 2, ints: 7 } as const;

/** Bytes in pieces, so that what is large is copied once, into the whole. */
type Pieces = readonly Uint8Array[];

/** A ModelProto. */
export function modelBytes(graph: Graph): Uint8Array {
  return Buffer.concat([
    ...number(1, formatVersion),
    ...text(2, 'millrace'),
    ...message(7, graphParts(graph)),
    ...message(8, [number(2, opsetVersion)]),
  ]);
}

function graphParts({ name, nodes, inputs, outputs, constants }: Graph): Pieces[] {
  return [
    ...nodes.map((node) => message(1, nodeParts(node))),
    text(2, name),
    ...constants.map((tensor) => message(5, constantParts(tensor))),
    ...inputs.map((info) => message(11, infoParts(info))),
    ...outputs.map((info) => message(12, infoParts(info))),
  ];
}

function nodeParts({ type, inputs, output, attributes }: Node): Pieces[] {
  return [
    ...inputs.map((name) => text(1, name)),
    text(2, output),
    text(4, type),
    ...attributes.map((attribute) => message(5, attributeParts(attribute))),
  ];
}

function attributeParts(attribute: Attribute): Pieces[] {
  const head = text(1, attribute.name);
  if ('int' in attribute) return [head, number(3, attribute.int), number(20, attributeTypes.int)];
  return [head, ...attribute.ints.map((value) => number(8, value)), number(20, attributeTypes.ints)];
}

function constantParts({ name, dims, values }: ConstantTensor): Pieces[] {
  const type = values instanceof Float32Array ? elementTypes.float32 : elementTypes.int64;
  const raw = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return [...dims.map((size) => number(1, size)), number(2, type), text(8, name), field(9, [raw])];
}

function infoParts({ name, type, dims }: TensorInfo): Pieces[] {
  const shape = dims.map((size) => message(1, [typeof size === 'number' ? number(1, size) : text(2, size)]));
  const tensor = message(1, [number(1, elementTypes[type]), message(2, shape)]);
  return [text(1, name), message(2, [tensor])];
}

function message(place: number, parts: readonly Pieces[]): Pieces {
  return field(place, parts.flat());
}

function text(place: number, value: string): Pieces {
  return field(place, [Buffer.from(value)]);
}

function field(place: number, value: Pieces): Pieces {
  const length = value.reduce((sum, piece) => sum + piece.byteLength, 0);
  return [varint(BigInt(place * 8 + 2)), varint(BigInt(length)), ...value];
}

/** An int64: a negative one is its two's complement, ten bytes long. */
function number(place: number, value: number): Pieces {
  return [varint(BigInt(place * 8)), varint(BigInt.asUintN(64, BigInt(value)))];
}

function varint(value: bigint): Uint8Array {
  const groups: number[] = [];
  let rest = value;
  for (; rest > 0x7fn; rest >>= 7n) groups.push(Number(rest & 0x7fn) | 0x80);
  groups.push(Number(rest));
  return Uint8Array.from(groups);
}
