/** The JSON of TensorFlow Serving's requests, and rows of it as columns. */
import { type FeatureValue, type ModelFile, scoreItemsMax } from '@millrace/protocol';
import { refusedPart, shownValue } from '../../refused-part.ts';
import { type Column, inputNamed } from '../../tensors/columns.ts';
import { textFrom } from '../../tensors/raw-tensor.ts';
import type { InputSignature } from '../../tensors/signature.ts';

export type ObjectJson = Readonly<Record<string, unknown>>;

export const servingDefault = 'serving_default';

export function isObject(value: unknown): value is ObjectJson {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function objectFrom(path: string, value: unknown): ObjectJson {
  if (isObject(value)) return value;
  throw refusedPart(path, 'an object', shownValue(value));
}

/**
 * The body, whichever signature it names: a model has one here, and callers of other servers know theirs by names of their
 * own, `predict` or `classify_objects`. @throws MILL_BAD_REQUEST when the name is no text.
 */
export function signatureChecked(body: ObjectJson): ObjectJson {
  const { signature_name: name = servingDefault } = body;
  if (typeof name === 'string') return body;
  throw refusedPart('signature_name', 'text', shownValue(name));
}

/** Levels of lists that a value is read from, at most. */
const levelsMax = 8;

/** A row's value, and the dimensions that it came in as part of a column: 2 where it is a list. */
export interface RowValue {
  readonly value: FeatureValue;
  readonly dimensions: number;
}

/**
 * A row's value of an input: a scalar or a list, nested as tensors of more dimensions are written and read row by row, of one
 * value where the input takes one. A scalar may be `{"b64": text}`, whose bytes are UTF-8 text here. Types are the score
 * request's to check.
 * @throws MILL_BAD_REQUEST
 */
export function rowValueFrom({ kind }: InputSignature, path: string, value: unknown): RowValue {
  if (!Array.isArray(value)) return { value: scalarFrom(path, value), dimensions: 1 };
  const flat = value.flat(levelsMax - 1).map((entry) => scalarFrom(path, entry));
  if (kind === 'list') return { value: flat as FeatureValue, dimensions: 2 };
  if (flat.length === 1) return { value: flat[0], dimensions: 2 };
  throw refusedPart(path, 'one value, or a list of one', `a list of ${flat.length}`);
}

function scalarFrom(path: string, value: unknown): FeatureValue {
  if (Array.isArray(value)) throw refusedPart(path, `${levelsMax} levels of lists at most`, 'more');
  if (!isObject(value)) return value as FeatureValue;
  const { b64, ...others } = value;
  if (typeof b64 !== 'string' || Object.keys(others).length > 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(b64))
    throw refusedPart(path, 'a value or {"b64": base64 text}', 'another object');
  return textFrom(path, Buffer.from(b64, 'base64'));
}

/** A column whose rows have these values; of two dimensions where all that are there came as lists. */
export function columnOf(input: InputSignature, values: readonly (RowValue | null)[]): Column {
  const isFlat = values.every((row) => row === null) || values.some((row) => row?.dimensions === 1);
  return { input, values: values.map((row) => row?.value ?? null), dimensions: isFlat ? 1 : 2 };
}

/**
 * Rows of named values as columns; a name that a row lacks is a missing feature there.
 * @param common  part of every row; a row's own value goes before it.
 * @throws MILL_BAD_REQUEST
 */
export function rowsAsColumns(
  file: ModelFile,
  rows: readonly ObjectJson[],
  common: ObjectJson,
): readonly Column[] {
  if (rows.length === 0 || rows.length > scoreItemsMax)
    throw refusedPart('rows', `1 to ${scoreItemsMax}`, String(rows.length));
  const columns = new Map<string, { input: InputSignature; values: (RowValue | null)[] }>();
  const write = (row: number, name: string, value: unknown) => {
    let column = columns.get(name);
    if (column === undefined) {
      column = { input: inputNamed(file, name), values: rows.map(() => null) };
      columns.set(name, column);
    }
    column.values[row] = rowValueFrom(column.input, `rows[${row}].${name}`, value);
  };
  for (const [row, values] of rows.entries()) {
    for (const [name, value] of Object.entries(common)) write(row, name, value);
    for (const [name, value] of Object.entries(values)) write(row, name, value);
  }
  // Rows without a single feature are rows all the same: of a first column that says nothing.
  if (columns.size === 0) {
    const [first] = file.fields;
    if (first) columns.set(first.name, { input: inputNamed(file, first.name), values: rows.map(() => null) });
  }
  return Array.from(columns.values(), ({ input, values }) => columnOf(input, values));
}
