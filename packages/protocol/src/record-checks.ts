/** Checks of values that other processes wrote: notices, and values of the key-value store. Surplus properties are allowed. */
import { MillraceError } from './errors.ts';

/** What a property must be. A count is an integer from 0 to 2^53 − 1. */
export type PropertyKind =
  | 'text'
  | 'number'
  | 'number or null'
  | 'count'
  | 'counts'
  | 'flag'
  | 'list'
  | 'map';

const isOfKind: Readonly<Record<PropertyKind, (value: unknown) => boolean>> = {
  text: (value) => typeof value === 'string',
  number: (value) => Number.isFinite(value),
  'number or null': (value) => value === null || Number.isFinite(value),
  count: isCount,
  counts: (value) => Array.isArray(value) && value.every(isCount),
  flag: (value) => typeof value === 'boolean',
  list: Array.isArray,
  map: isMap,
};

/** True for an integer from 0 to 2^53 − 1. */
export function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** True for a map: an object that is neither an array nor bytes. */
export function isMap(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
  );
}

/** What `read` gives; anything that it throws becomes MILL_RECORD_INVALID. */
export function readRecord(what: string, read: () => unknown): unknown {
  try {
    return read();
  } catch (cause) {
    throw recordInvalid(what, 'well-formed bytes', 'others', cause);
  }
}

/** `value` itself, once every property is of its kind; what lists and maps hold is the caller's to check. Throws MILL_RECORD_INVALID. */
export function checkedRecord<T>(
  what: string,
  value: unknown,
  kinds: Readonly<Record<keyof T & string, PropertyKind>>,
): T {
  if (!isMap(value)) throw recordInvalid(what, 'a map', typeof value);
  for (const [name, kind] of Object.entries(kinds) as [string, PropertyKind][]) {
    if (!isOfKind[kind](value[name])) throw recordInvalid(what, `${name}: a ${kind}`, typeof value[name]);
  }
  return value as T;
}

export function recordInvalid(what: string, wanted: string, found: string, cause?: unknown): MillraceError {
  const message = `cannot read a ${what}: wanted ${wanted}, found ${found}`;
  return new MillraceError('MILL_RECORD_INVALID', message, { cause });
}
