/**
 * Structs of Thrift as tables, read and written without generated code:
 *
 *   { 1: ['model', 'string'], 2: ['items', listOf(…)] }      field number → name and type
 *
 * What has another type than the table says, or no place in it, is passed over, as generated code does. Every value of a list or
 * map takes a byte at least, and there are so many at most as a request may have, so a frame bounds what is allocated for it. Maps have no prototype: any name is a name.
 */
import { eventsPerPostMax, featureValuesMax, scoreItemsMax } from '@millrace/protocol';
import { refusedPart } from '../refused-part.ts';
import type { ThriftProtocol } from './library.ts';

/** Of a list or a map, at most: no part of a request may have more. */
const valuesMax = Math.max(scoreItemsMax, eventsPerPostMax, featureValuesMax);

/** Numbers of the types on the wire. */
const wire = { bool: 2, double: 4, i32: 8, i64: 10, string: 11, struct: 12, map: 13, list: 15 } as const;

export type ThriftType =
  | 'bool'
  | 'double'
  | 'i32'
  /** Read as bigint, written from whole numbers up to 2^53 − 1. */
  | 'i64'
  | 'string'
  | { readonly struct: StructTable }
  | { readonly list: ThriftType }
  /** With texts as keys. */
  | { readonly map: ThriftType };

export type StructTable = Readonly<Record<number, readonly [name: string, type: ThriftType]>>;

export type StructValue = Readonly<Record<string, unknown>>;

function wireTypeOf(type: ThriftType): number {
  if (typeof type === 'string') return wire[type];
  if ('struct' in type) return wire.struct;
  return 'list' in type ? wire.list : wire.map;
}

/** @throws whatever the library throws where bytes end too soon or a size is negative. */
export function readStruct(input: ThriftProtocol, table: StructTable): StructValue {
  const value: Record<string, unknown> = {};
  for (;;) {
    const { ftype, fid } = input.readFieldBegin();
    if (ftype === 0) return value;
    const field = table[fid];
    if (field === undefined || wireTypeOf(field[1]) !== ftype) input.skip(ftype);
    else value[field[0]] = readValue(input, field[1]);
  }
}

function readValue(input: ThriftProtocol, type: ThriftType): unknown {
  if (typeof type !== 'string') {
    if ('struct' in type) return readStruct(input, type.struct);
    return 'list' in type ? readList(input, type.list) : readMap(input, type.map);
  }
  return readers[type](input);
}

const readers: Readonly<Record<Extract<ThriftType, string>, (input: ThriftProtocol) => unknown>> = {
  bool: (input) => input.readBool(),
  double: (input) => input.readDouble(),
  i32: (input) => input.readI32(),
  i64(input) {
    const { buffer, offset } = input.readI64();
    return new DataView(buffer.buffer, buffer.byteOffset + offset, 8).getBigInt64(0);
  },
  string: (input) => input.readString(),
};

function readList(input: ThriftProtocol, type: ThriftType): unknown[] {
  const { etype, size } = input.readListBegin();
  const isKnown = etype === wireTypeOf(type);
  if (size > valuesMax) throw refusedPart('list', `at most ${valuesMax} values`, String(size));
  const list: unknown[] = [];
  for (let i = 0; i < size; i += 1) {
    if (isKnown) list.push(readValue(input, type));
    else input.skip(etype);
  }
  return list;
}

function readMap(input: ThriftProtocol, type: ThriftType): StructValue {
  const { ktype, vtype, size } = input.readMapBegin();
  const isKnown = ktype === wire.string && vtype === wireTypeOf(type);
  if (size > valuesMax) throw refusedPart('map', `at most ${valuesMax} values`, String(size));
  const map = Object.create(null) as Record<string, unknown>;
  for (let i = 0; i < size; i += 1) {
    if (isKnown) {
      const name = input.readString();
      map[name] = readValue(input, type);
    } else {
      input.skip(ktype);
      input.skip(vtype);
    }
  }
  return map;
}

/** Writes what there is; undefined and null are absent fields. */
export function writeStruct(output: ThriftProtocol, table: StructTable, value: StructValue): void {
  for (const [id, [name, type]] of Object.entries(table)) {
    const field = value[name];
    if (field === undefined || field === null) continue;
    output.writeFieldBegin(name, wireTypeOf(type), Number(id));
    writeValue(output, type, field);
  }
  output.writeFieldStop();
}

function writeValue(output: ThriftProtocol, type: ThriftType, value: unknown): void {
  if (typeof type !== 'string') {
    if ('struct' in type) writeStruct(output, type.struct, value as StructValue);
    else if ('list' in type) {
      const list = value as readonly unknown[];
      output.writeListBegin(wireTypeOf(type.list), list.length);
      for (const entry of list) writeValue(output, type.list, entry);
    } else throw new TypeError('no answer has a map');
    return;
  }
  writers[type](output, value);
}

const writers: Readonly<
  Record<Extract<ThriftType, string>, (output: ThriftProtocol, value: unknown) => void>
> = {
  bool: (output, value) => output.writeBool(value as boolean),
  double: (output, value) => output.writeDouble(value as number),
  i32: (output, value) => output.writeI32(value as number),
  i64: (output, value) => output.writeI64(value as number),
  string: (output, value) => output.writeString(value as string),
};
