/** From tensors to feature values by row. */
import type { FeatureValue, ModelFile } from '@millrace/protocol';
import { refusedPart } from '../refused-part.ts';
import type { TensorValue } from './datatypes.ts';
import { type InputSignature, inputsOf, takenDatatypes, takes } from './signature.ts';
import { pathOf, shownShape, type Tensor } from './tensor.ts';

/** One feature of all rows; of one value where all rows share it. */
export interface Column {
  readonly input: InputSignature;
  readonly values: readonly FeatureValue[];
  /** Dimensions that they came in, 1 or 2: [n], or [n, 1] and [n, k]. */
  readonly dimensions: number;
}

/** The input of that name. @throws MILL_BAD_REQUEST naming those that the model has. */
export function inputNamed(file: ModelFile, name: string): InputSignature {
  const inputs = inputsOf(file);
  const input = inputs.get(name);
  if (input) return input;
  throw refusedPart(pathOf(name), `only ${[...inputs.keys()].join(', ')}`, 'an unknown name');
}

/**
 * Tensors as columns of what the model reads. Shapes: [n] and [n, 1] for one value a row; lists [n] of text with the
 * field's separator or [n, k] of values, where empty text fills up.
 * @throws MILL_BAD_REQUEST
 */
export function columnsFrom(file: ModelFile, tensors: readonly Tensor[]): readonly Column[] {
  const seen = new Set<string>();
  return tensors.map((tensor) => {
    const input = inputNamed(file, tensor.name);
    if (seen.has(input.name)) throw refusedPart(pathOf(input.name), 'each input once', 'it twice');
    seen.add(input.name);
    return { input, values: valuesOf(input, tensor), dimensions: tensor.shape.length };
  });
}

function valuesOf(input: InputSignature, tensor: Tensor): readonly FeatureValue[] {
  const { datatype, shape, values } = tensor;
  const { kind, name } = input;
  if (!takes(kind, datatype)) throw refusedPart(`${pathOf(name)}.datatype`, takenDatatypes[kind], datatype);
  const [rows, width = 1] = shape;
  if (shape.length > 2 || (kind !== 'list' && width !== 1)) {
    const wanted = kind === 'list' ? '[n] or [n, k]' : '[n] or [n, 1]';
    throw refusedPart(`${pathOf(name)}.shape`, wanted, shownShape(shape));
  }
  if (kind === 'number') return values.map(numberFrom);
  if (kind === 'id' || (shape.length === 1 && datatype === 'BYTES')) return values;
  const listed = values as readonly (string | number)[];
  return Array.from({ length: rows }, (_, row) => listed.slice(row * width, (row + 1) * width));
}

/** Integers beyond 2^53 come as text, and are rounded as every number of a dense field is. */
function numberFrom(value: TensorValue): FeatureValue {
  return typeof value === 'string' ? Number(value) : value;
}
