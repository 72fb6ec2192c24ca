/** A tensor with its values, however they came: as JSON, as raw bytes, or as typed contents of a gRPC message. */
import { featureValuesMax, scoreItemsMax } from '@millrace/protocol';
import { clipped, refusedPart, shownValue } from '../refused-part.ts';
import { type Datatype, exact, fixedDatatypes, isDatatype, isFixed, type TensorValue } from './datatypes.ts';

export interface TensorHead {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
}

export interface Tensor extends TensorHead {
  /** Row-major, as many as the shape says. */
  readonly values: readonly TensorValue[];
}

/** Dimensions of a tensor, at most; inputs here have one or two. */
const dimensionsMax = 8;
/** Values of a tensor, at most: every candidate with its longest list. */
const valuesMax = scoreItemsMax * featureValuesMax;

/**
 * Checks name, datatype and shape.
 * @throws MILL_BAD_REQUEST
 */
export function tensorHead(name: string, datatype: string, shape: readonly number[]): TensorHead {
  if (!isDatatype(datatype)) {
    const wanted = ['BYTES', ...Object.keys(fixedDatatypes)].join(', ');
    throw refusedPart(`${pathOf(name)}.datatype`, `one of ${wanted}`, shownValue(datatype));
  }
  const isSize = (size: number) => Number.isSafeInteger(size) && size >= 0;
  if (shape.length === 0 || shape.length > dimensionsMax || !shape.every(isSize))
    throw refusedPart(`${pathOf(name)}.shape`, `1 to ${dimensionsMax} whole sizes`, shownShape(shape));
  if (!(valueCount(shape) <= valuesMax))
    throw refusedPart(`${pathOf(name)}.shape`, `at most ${valuesMax} values`, shownShape(shape));
  return { name, datatype, shape };
}

export function valueCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

export function shownShape(shape: readonly number[]): string {
  return `[${shape.slice(0, dimensionsMax).join(', ')}${shape.length > dimensionsMax ? ', …' : ''}]`;
}

/** How messages name an input. */
export function pathOf(name: string): string {
  return `inputs.${clipped(name)}`;
}

/**
 * Values as JSON or typed contents have them, checked against the datatype.
 * @param values  flat; integers of 64 bits may be decimal text.
 * @throws MILL_BAD_REQUEST
 */
export function tensorOf(head: TensorHead, values: readonly unknown[]): Tensor {
  const count = valueCount(head.shape);
  if (values.length !== count) {
    const wanted = `${count} values for shape ${shownShape(head.shape)}`;
    throw refusedPart(pathOf(head.name), wanted, String(values.length));
  }
  return { ...head, values: values.map((value) => checkedValue(head, value)) };
}

function checkedValue({ name, datatype }: TensorHead, value: unknown): TensorValue {
  if (!isFixed(datatype)) {
    if (typeof value === 'string') return value;
    throw refusedPart(pathOf(name), 'text throughout', shownValue(value));
  }
  const { kind, min, max } = fixedDatatypes[datatype];
  if (kind === 'bool') {
    if (typeof value === 'boolean') return value;
    if (value === 0 || value === 1) return value === 1;
    throw refusedPart(pathOf(name), 'true or false throughout', shownValue(value));
  }
  if (kind === 'float') {
    if (typeof value === 'number') return datatype === 'FP32' ? Math.fround(value) : value;
    throw refusedPart(pathOf(name), 'numbers throughout', shownValue(value));
  }
  const isInteger = Number.isSafeInteger(value) || (typeof value === 'string' && /^-?\d{1,20}$/.test(value));
  const number = isInteger ? BigInt(value as string | number) : null;
  if (number !== null && number >= min && number <= max) return exact(number);
  const wanted = `integers from ${min} to ${max}, as text beyond 2^53 − 1`;
  throw refusedPart(pathOf(name), wanted, shownValue(value));
}

/**
 * Flattens nested arrays, row-major; flat ones stay as they are.
 * @throws MILL_BAD_REQUEST when they are nested deeper than the shape, or hold more than it says.
 */
export function flatFrom(head: TensorHead, data: readonly unknown[]): readonly unknown[] {
  if (!data.some(Array.isArray)) return data;
  const count = valueCount(head.shape);
  const flat: unknown[] = [];
  const walk = (values: readonly unknown[], depth: number) => {
    for (const value of values) {
      if (!Array.isArray(value)) flat.push(value);
      else if (depth < head.shape.length) walk(value, depth + 1);
      else
        throw refusedPart(pathOf(head.name), `${head.shape.length} levels of arrays at most`, `${depth + 1}`);
      if (flat.length > count) throw refusedPart(pathOf(head.name), `${count} values`, 'more');
    }
  };
  walk(data, 1);
  return flat;
}
