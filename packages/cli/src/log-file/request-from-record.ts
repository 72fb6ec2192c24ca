/** One row of a log as the score request that would have been sent for it, with what came of it. */
import type { Features, FeatureValue, FieldSpec, ModelFile, ScoreRequest } from '@millrace/protocol';
import { fileInvalid, type LogRecord, shownFrom } from './log-record.ts';

export interface RecordRequest {
  /** One candidate; each model field's column stands in user, context or the item, by the field's scope. */
  readonly request: ScoreRequest;
  readonly label: 0 | 1;
  /** Unix ms; null when the model names no timestamp column. */
  readonly timeMs: number | null;
}

/**
 * Reads the columns that the model names. An empty cell or a JSON null is a missing feature and is passed on as null; a column
 * that is absent altogether is an error, since a misspelt one would otherwise go unnoticed.
 *   label      0, 1, false or true, as value or text
 *   timestamp  Unix seconds below 1e11, Unix ms from there (1973 on), or ISO 8601 (UTC when it names no zone)
 *   dense      a decimal number, as value or text
 * @throws MILL_FILE_INVALID naming file, line, column, wanted and found.
 */
export function requestFromRecord(model: ModelFile, record: LogRecord): RecordRequest {
  const user: Record<string, FeatureValue> = {};
  const context: Record<string, FeatureValue> = {};
  const item: Record<string, FeatureValue> = {};
  for (const field of model.fields) {
    const value = featureFrom(field, record);
    if (field.scope === 'user') user[field.name] = value;
    else if (field.scope === 'item') item[field.name] = value;
    else context[field.name] = value;
  }
  const items: Features[] = [item];
  return {
    request: { model: model.name, user, context, items },
    label: labelFrom(record, model.label),
    timeMs: model.timestamp === undefined ? null : timeMsFrom(record, model.timestamp),
  };
}

/** Digits with an optional sign, fraction and exponent: what every tool writes; no hex, no "Infinity". */
const decimal = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

function featureFrom(field: FieldSpec, record: LogRecord): FeatureValue {
  const value = columnOf(record, field.name);
  if (value === null || value === '') return null;
  if (field.type === 'dense') return numberFrom(record, field.name, value);
  if (isScalar(value)) return value;
  if (field.type !== 'sparse' && Array.isArray(value) && value.every(isTextOrNumber)) return value;
  const wanted =
    field.type === 'sparse' ? 'text, a number or a boolean' : 'text or an array of text and numbers';
  throw fileInvalid(placeOf(record, field.name), wanted, shownFrom(value));
}

function labelFrom(record: LogRecord, column: string): 0 | 1 {
  const value = columnOf(record, column);
  if (value === 1 || value === true || value === '1' || value === 'true') return 1;
  if (value === 0 || value === false || value === '0' || value === 'false') return 0;
  throw fileInvalid(placeOf(record, column), '0 or 1', shownFrom(value));
}

/** Seconds up to the year 5138 are smaller, milliseconds since March 1973 are not. */
const msFrom = 1e11;
/** Microseconds begin far above; they would be a date 50,000 years ahead. */
const msEnd = 1e14;
const isoDate = /^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?$/i;
const isoZone = /(Z|[+-]\d\d:?\d\d)$/i;

function timeMsFrom(record: LogRecord, column: string): number {
  const value = columnOf(record, column);
  const time = typeof value === 'string' ? timeMsFromText(value.trim()) : timeMsFromNumber(value);
  if (Number.isNaN(time)) {
    throw fileInvalid(placeOf(record, column), 'Unix seconds, Unix ms or ISO 8601', shownFrom(value));
  }
  return time;
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

function numberFrom(record: LogRecord, column: string, value: unknown): number {
  const number = typeof value === 'string' && decimal.test(value.trim()) ? Number(value) : value;
  if (typeof number === 'number' && Number.isFinite(number)) return number;
  throw fileInvalid(placeOf(record, column), 'a number', shownFrom(value));
}

function columnOf(record: LogRecord, column: string): unknown {
  if (!Object.hasOwn(record.values, column)) {
    const there = Object.keys(record.values).slice(0, 30).join(', ');
    throw fileInvalid(placeOf(record, column), 'that column (or null in it)', `only ${there}`);
  }
  return record.values[column];
}

function placeOf(record: LogRecord, column: string): { file: string; line: number; column: string } {
  return { file: record.file, line: record.line, column };
}

function isScalar(value: unknown): value is string | number | boolean {
  return typeof value === 'string' || typeof value === 'boolean' || isTextOrNumber(value);
}

function isTextOrNumber(value: unknown): value is string | number {
  return typeof value === 'string' || (typeof value === 'number' && Number.isFinite(value));
}
