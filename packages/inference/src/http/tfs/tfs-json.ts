/** The JSON of TensorFlow Serving's requests, and rows of it as columns. */
import { type FeatureValue, type ModelFile, scoreItemsMax } from '@millrace/protocol';
import { refusedPart, shownValue } from '../../refused-part.ts';
import { type Column, inputNamed } from '../../tensors/columns.ts';
import { textFrom } from '../../tensors/raw-tensor.ts';

export type ObjectJson = Readonly<Record<string, unknown>>;

export const servingDefault = 'serving_default';

export function isObject(value: unknown): value is ObjectJson {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function objectFrom(path: string, value: unknown): ObjectJson {
  if (isObject(value)) return value;
  throw refusedPart(path, 'an object', shownValue(value));
}

/** The body, once it asks for the one signature there is: by its name, by none, or by that of a method. */
export function signatureChecked(
  body: ObjectJson,
  methods: readonly ('predict' | 'classify' | 'regress')[],
): ObjectJson {
  const { signature_name: name = servingDefault } = body;
  if (name === servingDefault || name === '') return body;
  if (methods.some((method) => name === `tensorflow/serving/${method}`)) return body;
  throw refusedPart('signature_name', `${servingDefault} for ${methods.join(' or ')}`, shownValue(name));
}

/**
 * A scalar, a list of them, or `{"b64": text}`, whose bytes are UTF-8 text here. Types are the score request's to check.
 * @throws MILL_BAD_REQUEST
 */
export function valueFrom(path: string, value: unknown): FeatureValue {
  if (Array.isArray(value))
    return value.map((entry, i) => scalarFrom(`${path}[${i}]`, entry)) as FeatureValue;
  return scalarFrom(path, value) as FeatureValue;
}

function scalarFrom(path: string, value: unknown): unknown {
  if (!isObject(value)) return value;
  const { b64, ...others } = value;
  if (typeof b64 !== 'string' || Object.keys(others).length > 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(b64))
    throw refusedPart(path, 'a value or {"b64": base64 text}', 'another object');
  return textFrom(path, Buffer.from(b64, 'base64'));
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
  const columns = new Map<string, { input: Column['input']; values: FeatureValue[] }>();
  const write = (row: number, name: string, value: unknown) => {
    let column = columns.get(name);
    if (column === undefined) {
      column = { input: inputNamed(file, name), values: rows.map(() => null) };
      columns.set(name, column);
    }
    column.values[row] = valueFrom(`rows[${row}].${name}`, value);
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
  return [...columns.values()];
}
