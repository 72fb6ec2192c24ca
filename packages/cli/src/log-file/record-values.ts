/** A value of a log as the model takes it: label, time, feature. `undefined` is the answer for one that cannot be used. */
import { type FeatureValue, type FieldSpec, featureCharsMax, featureValuesMax } from '@millrace/protocol';

export function labelFrom(value: unknown): 0 | 1 | undefined {
  if (value === 1 || value === '1' || value === true || value === 'true') return 1;
  if (value === 0 || value === '0' || value === false || value === 'false') return 0;
  return undefined;
}

/** Digits with an optional sign, fraction and exponent: what every tool writes; no hex, no "Infinity". */
const decimal = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
/** Seconds up to the year 5138 are smaller, milliseconds since March 1973 are not. */
const msFrom = 1e11;
/** Microseconds begin far above; they would be a date 50,000 years ahead. */
const msEnd = 1e14;
const isoDate = /^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?$/i;
const isoZone = /(Z|[+-]\d\d:?\d\d)$/i;

/** Unix ms. Takes Unix seconds below 1e11, Unix ms from there (1973 on), or ISO 8601 (UTC when it names no zone). */
export function timeMsFrom(value: unknown): number | undefined {
  const time = typeof value === 'string' ? timeMsFromText(value.trim()) : timeMsFromNumber(value);
  return Number.isNaN(time) ? undefined : time;
}

function timeMsFromText(text: string): number {
  if (decimal.test(text)) return timeMsFromNumber(Number(text));
  if (!isoDate.test(text)) return Number.NaN;
  // A date and time without a zone would be read in the zone of the machine, and differ from one to the next.
  const time = text.replace(' ', 'T');
  const zoned = time.includes('T') && !isoZone.test(time.slice(10)) ? `${time}Z` : time;
  return Date.parse(zoned);
}

function timeMsFromNumber(value: unknown): number {
  if (typeof value !== 'number' || !(value >= 0 && value < msEnd)) return Number.NaN;
  return Math.round(value < msFrom ? value * 1_000 : value);
}

/** What a field takes, for a message. */
export const wantedByType: Readonly<Record<FieldSpec['type'], string>> = {
  sparse: `text, a number or a boolean (at most ${featureCharsMax} characters, numbers within 2^53)`,
  multi: `text or an array of text and numbers (at most ${featureValuesMax} values of ${featureCharsMax} characters, numbers within 2^53)`,
  sequence: `text or an array of text and numbers (values of at most ${featureCharsMax} characters, numbers within 2^53)`,
  dense: 'a number (within 2^53)',
};

/** A cell or value as the score API takes it, which has the same limits. An empty one is null: a missing feature. */
export function featureFrom(
  type: FieldSpec['type'],
  separator: string,
  value: unknown,
): FeatureValue | undefined {
  if (value === null || value === '') return null;
  if (type === 'dense') return denseFrom(value);
  if (type !== 'sparse') return listFrom(type, separator, value);
  return typeof value === 'boolean' || isTextOrNumber(value) ? value : undefined;
}

function denseFrom(value: unknown): number | undefined {
  const number = typeof value === 'string' && decimal.test(value.trim()) ? Number(value) : value;
  return typeof number === 'number' && Math.abs(number) <= Number.MAX_SAFE_INTEGER ? number : undefined;
}

function listFrom(type: 'multi' | 'sequence', separator: string, value: unknown): FeatureValue | undefined {
  if (typeof value === 'string') {
    // Nearly every text: too short to break a limit, and cut where it is encoded.
    if (value.length < featureValuesMax) return value;
    return listFrom(type, separator, value.split(separator));
  }
  if (typeof value === 'number') return isTextOrNumber(value) ? value : undefined;
  if (!Array.isArray(value)) return undefined;
  // The newest values of a sequence stand at its end, and no field looks back further than that.
  const values: unknown[] = type === 'sequence' ? value.slice(-featureValuesMax) : value;
  return values.length <= featureValuesMax && values.every(isTextOrNumber) ? values : undefined;
}

function isTextOrNumber(value: unknown): value is string | number {
  if (typeof value === 'string') return value.length <= featureCharsMax;
  return typeof value === 'number' && Math.abs(value) <= Number.MAX_SAFE_INTEGER;
}
