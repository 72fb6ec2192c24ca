/** Features' values as callers give them, checked and made what the encoder needs: one value, a number, a list, a text to hash. */
import { type DenseTransform, type Features, type FeatureValue, MillraceError } from '@millrace/protocol';

/** Whose feature it is: `user`, `context`, or the place of an item, which becomes text only where a message needs it. */
export type Where = string | number;
const float32Max = 3.4028234663852886e38;

/** What every object inherits (a field named "constructor") is a export function or an object, so plain values need no second look. */
export function ownValue(features: Features, name: string): FeatureValue | undefined {
  const value = features[name];
  if (typeof value !== 'object' && typeof value !== 'function') return value;
  return Object.hasOwn(features, name) ? value : undefined;
}

/** A number as the net reads it. Float32 must hold it: an infinite input makes NaN of the score, and of what is learned from it. */
export function inputOf(value: FeatureValue, transform: DenseTransform, where: Where, name: string): number {
  const x = transformed(numberOf(value, where, name), transform);
  if (!(Math.abs(x) <= float32Max))
    throw wrong(where, name, 'a number within ±3.4e38 once transformed', value);
  return x;
}

function transformed(x: number, transform: DenseTransform): number {
  switch (transform.type) {
    case 'none':
    case 'bucket':
      return x;
    case 'log1p':
      return Math.sign(x) * Math.log1p(Math.abs(x));
    case 'standardize':
      return (x - (transform.mean ?? 0)) / (transform.deviation ?? 1);
  }
}

/** How many boundaries are not above x. */
export function bucketOf(x: number, transform: DenseTransform): number {
  if (transform.type !== 'bucket') return 0;
  let bucket = 0;
  while (bucket < transform.boundaries.length && transform.boundaries[bucket] <= x) bucket += 1;
  return bucket;
}

export function numberOf(value: FeatureValue, where: Where, name: string): number {
  const number = typeof value === 'number' ? value : typeof value === 'boolean' ? Number(value) : Number.NaN;
  if (!Number.isFinite(number)) throw wrong(where, name, 'a finite number', value);
  return number;
}

export function textOf(value: number | boolean, where: Where, name: string): string {
  if (typeof value === 'number' && !Number.isFinite(value))
    throw wrong(where, name, 'text or a finite number', value);
  return String(value);
}

/** Pieces that `split` would cut a text into. */
export function piecesIn(text: string, separator: string): number {
  let pieces = 1;
  for (let at = text.indexOf(separator); at >= 0; at = text.indexOf(separator, at + separator.length))
    pieces += 1;
  return pieces;
}

export function listOf(
  value: FeatureValue,
  separator: string,
  where: Where,
  name: string,
): readonly (string | number)[] {
  if (typeof value === 'number') return [value];
  if (Array.isArray(value)) return value as readonly (string | number)[];
  throw wrong(where, name, `a list, or text with "${separator}" between`, value);
}

export function wrong(where: Where, name: string, wanted: string, found: unknown): MillraceError {
  const kind = Array.isArray(found) ? 'a list' : found === null ? 'null' : typeof found;
  const shown = typeof found === 'number' ? String(found) : kind;
  const path = `${typeof where === 'number' ? `items[${where}]` : where}.${name}`;
  return new MillraceError('MILL_FEATURE_INVALID', `cannot use ${path}: it must be ${wanted}, got ${shown}`, {
    details: { path },
  });
}
