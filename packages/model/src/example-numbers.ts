/** The numbers of an example that are no keys: inputs of layers, and values that running moments normalise later. */
import type { DenseTransform, FeatureValue, FieldScope } from '@millrace/protocol';
import type { DenseInput, MomentField } from './feature-plan.ts';
import { inputOf, type Where } from './feature-values.ts';
import type { SparseBatch } from './sparse-batch.ts';

/** A value by scope and name; of the item in work. */
export type ReadValue = (scope: FieldScope, name: string) => FeatureValue | undefined;

/** Writes what layers read of the example in work. */
export function writeDense(
  batch: SparseBatch,
  inputs: readonly DenseInput[],
  readValue: ReadValue,
  where: Where,
): void {
  const at = batch.rows * inputs.length;
  if (at + inputs.length > batch.dense.length) {
    const larger = new Float32Array(2 * (at + inputs.length));
    larger.set(batch.dense);
    batch.dense = larger;
  }
  for (let i = 0; i < inputs.length; i += 1) {
    const { name, scope, transform } = inputs[i];
    const value = readValue(scope, name);
    const missing = value === undefined || value === null || value === '';
    const place = scope === 'item' ? where : scope;
    batch.dense[at + i] = missing ? 0 : inputOf(value, transform, place, name);
  }
}

const anyNumber: DenseTransform = { type: 'none' };

/** Keeps the values of fields with running moments as they came, until a dense version says what they are. */
export function writeRaw(
  batch: SparseBatch,
  fields: readonly MomentField[],
  readValue: ReadValue,
  where: Where,
): void {
  const at = batch.rows * fields.length;
  if (at + fields.length > batch.raw.length) {
    const larger = new Float32Array(2 * (at + fields.length));
    larger.set(batch.raw);
    batch.raw = larger;
  }
  for (let i = 0; i < fields.length; i += 1) {
    const { name, scope } = fields[i];
    const value = readValue(scope, name);
    const missing = value === undefined || value === null || value === '';
    const place = scope === 'item' ? where : scope;
    batch.raw[at + i] = missing ? Number.NaN : inputOf(value, anyNumber, place, name);
  }
}
