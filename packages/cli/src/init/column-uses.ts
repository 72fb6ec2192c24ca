/**
 * What a model can make of each column of a log, from its profile alone: left out, a value, a list of values, or a number in
 * one of several forms, of which the screening (screen-numbers.ts) and the trials choose.
 */
import type { DenseTransform, MultiField } from '@millrace/protocol';
import { type ColumnProfile, separators } from './column-profile.ts';
import type { LogProfile } from './log-profile.ts';
import { spreadBoundaries } from './number-sketch.ts';

export type NumberForm =
  | { readonly kind: 'value' }
  | { readonly kind: 'bucket'; readonly boundaries: readonly number[] }
  | { readonly kind: 'weighted'; readonly transform: DenseTransform };

export type ColumnUse =
  | { readonly kind: 'left-out'; readonly column: string; readonly why: string }
  | { readonly kind: 'value'; readonly column: string; readonly why: string; readonly distinct: number }
  | {
      readonly kind: 'list';
      readonly column: string;
      readonly why: string;
      readonly separator: string | null;
      readonly pooling: MultiField['pooling'];
    }
  | {
      readonly kind: 'number';
      readonly column: string;
      readonly why: string;
      readonly distinct: number;
      /** At least one. */
      readonly forms: readonly NumberForm[];
    };

/** Names that a model file cannot take as they are. */
const nameFits = /^[^\p{Cc}\s]([^\p{Cc}]{0,62}[^\p{Cc}\s])?$/u;
const idName =
  /(^|[_\s.-])(id|uid|uuid|guid|zip|zip_?code|postcode|code|hash|sku|isbn)$|[a-z]Id$|^(user|item|member|customer|visitor|account|product|movie|film|article|ad|creative|campaign|advertiser|publisher|site|app|brand|seller|store|query|flight)$/i;
const requestName =
  /(request|req|event|impression|imp|session|row|record|log|trace|transaction|order)[_\s.-]?(id|uuid|key|no|number)?$|^(id|uuid|guid|index|row|rownum|unnamed: ?\d+)$/i;

/** The use of every column, in order. */
export function columnUses(profile: LogProfile): readonly ColumnUse[] {
  return profile.columns.map((column) => {
    const why = whyLeftOut(column, profile);
    return why === null ? useOf(column, profile.events) : { kind: 'left-out', column: column.name, why };
  });
}

/** Is this the name of an id, whose numbers are names rather than quantities? */
export function isIdName(name: string): boolean {
  return idName.test(name);
}

function whyLeftOut(column: ColumnProfile, profile: LogProfile): string | null {
  const there = column.records - column.missing;
  if (!nameFits.test(column.name))
    return 'a model file cannot take its name (1 to 64 characters, no control characters)';
  if (there === 0) return 'it is always empty';
  if (column.unusable > 0) return `${column.unusable} values are objects or mixed lists`;
  if (column.longTexts > 0) return `texts of over 1,024 characters, which no request may carry`;
  if (column.distinct === 1 && column.missing === 0 && column.arrays === 0) return 'it is always the same';
  return whyLeak(column, profile) ?? whyUnique(column, there);
}

/** Positives that a value must have before it is believed to tell the label. */
const leakPositives = 20;
/** Of the rarer label, what may contradict. */
const leakShare = 0.001;

function whyLeak(column: ColumnProfile, profile: LogProfile): string | null {
  const { positives, events } = profile;
  const negatives = events - positives;
  const rarer = Math.min(positives, negatives);
  if (rarer < leakPositives) return null;
  const there = column.records - column.missing;
  const therePositives = positives - column.missingPositives;
  const wrong = Math.min(
    therePositives + (column.missing - column.missingPositives),
    there - therePositives + column.missingPositives,
  );
  if (column.missing > 0 && wrong <= leakShare * rarer)
    return 'whether it is there tells the label: it is written after the outcome';
  if (
    column.values === null ||
    column.arrays > 0 ||
    column.values.size > 100 ||
    events < 20 * column.values.size
  )
    return null;
  let mixed = Math.min(column.missingPositives, column.missing - column.missingPositives);
  for (const { count, positives: ones } of column.values.values()) mixed += Math.min(ones, count - ones);
  return mixed <= leakShare * rarer
    ? 'its value tells the label: it is the outcome itself, or follows from it'
    : null;
}

function whyUnique(column: ColumnProfile, there: number): string | null {
  if (column.arrays > 0 || there < 50) return null;
  const share = column.distinct / there;
  if (!column.isNumeric) {
    const isList = listOf(column) !== null;
    return share > 0.9 && !isList ? 'nearly every value is new, so nothing is ever learned of one' : null;
  }
  if (!column.isInteger || share < 0.9) {
    return isTime(column) ? 'it is a time that only goes on: a later one was never seen before' : null;
  }
  if (requestName.test(column.name) || isIdName(column.name))
    return 'nearly every id is new, so nothing is ever learned of one';
  if (column.notFalling > 0.99 * there) return 'it counts up: a later value was never seen before';
  return null;
}

/** Unix seconds or milliseconds between 2001 and 2096, in order. */
function isTime({ numbers, notFalling, distinct }: ColumnProfile): boolean {
  const { min, max, count } = numbers;
  const isRange = (min >= 1e9 && max < 4e9) || (min >= 1e12 && max < 4e12);
  return isRange && distinct > 100 && notFalling > 0.9 * count;
}

function useOf(column: ColumnProfile, events: number): ColumnUse {
  const { name, distinct } = column;
  if (column.arrays > 0)
    return { kind: 'list', column: name, separator: null, pooling: 'sum', why: 'arrays' };
  const list = listOf(column);
  if (list !== null) {
    const why = `texts cut at "${list}": ${column.distinctPieces(list)} different pieces make ${distinct} texts`;
    return { kind: 'list', column: name, separator: list, pooling: 'sum', why };
  }
  if (!column.isNumeric) {
    const share = column.numbers.count / (column.records - column.missing);
    const almost =
      share > 0.9 ? `; ${column.records - column.missing - column.numbers.count} are no numbers` : '';
    return { kind: 'value', column: name, distinct, why: `${distinct} different texts${almost}` };
  }
  if (column.isInteger && isIdName(name) && distinct > 2)
    return {
      kind: 'value',
      column: name,
      distinct,
      why: `${distinct} different numbers that are names, by its own name`,
    };
  const forms = numberForms(column, events);
  const range = `${shown(column.numbers.min)} to ${shown(column.numbers.max)}`;
  return { kind: 'number', column: name, distinct, forms, why: `${distinct} different numbers, ${range}` };
}

/** The separator of a column of lists, or null. */
function listOf(column: ColumnProfile): string | null {
  const there = column.records - column.missing;
  for (const separator of separators) {
    const cut = column.cuts.find((candidate) => candidate.separator === separator);
    if (cut === undefined || column.numbers.count === there) continue;
    // Blanks and commas stand inside of names as well, so they need more to show that pieces are values.
    const isStrong = separator === '|' || separator === ';';
    const pieces = column.distinctPieces(separator);
    const isCommon = cut.texts >= (isStrong ? 0.05 : 0.3) * column.textsCut;
    const isReused = pieces <= (isStrong ? 0.7 : 0.3) * column.distinct;
    if (isCommon && isReused && column.distinct > 20) return separator;
  }
  return null;
}

/** Weighted numbers beyond this many deviations would move the logit by more than their weight was meant for. */
const deviationsMax = 10;
/** A value needs this many records on average before its own weight pays. */
const recordsAValue = 20;

function numberForms(column: ColumnProfile, events: number): NumberForm[] {
  const { numbers, distinct } = column;
  const forms: NumberForm[] = [];
  const sorted = numbers.sorted();
  const parts = bucketsFor(events);
  const isFew = distinct <= 2 * parts || (column.isInteger && events >= recordsAValue * distinct);
  if (isFew) forms.push({ kind: 'value' });
  const boundaries = spreadBoundaries(sorted, parts);
  if (distinct > 2 && boundaries.length > 0) forms.push({ kind: 'bucket', boundaries });
  const transform = transformOf(column, sorted);
  if (transform !== null) forms.push({ kind: 'weighted', transform });
  if (forms.length === 0) forms.push({ kind: 'value' });
  return forms;
}

/** More events afford finer cuts: 4 at 1,000 events and below, 22 at 30,000, 40 at 100,000. */
export function bucketsFor(events: number): number {
  return Math.min(40, Math.max(4, Math.round(Math.sqrt(events) / 8)));
}

/** How a number may weight its row, or null where outliers forbid it. */
function transformOf({ numbers, distinct }: ColumnProfile, sorted: Float64Array): DenseTransform | null {
  const { min, max, mean, deviation } = numbers;
  if (!(deviation > 0) || !Number.isFinite(deviation)) return null;
  if (distinct <= 2 && min === 0 && max === 1) return { type: 'none' };
  const reach = Math.max(max - mean, mean - min) / deviation;
  if (reach <= deviationsMax && !isHeavy(sorted))
    return { type: 'standardize', mean: tidy(mean), deviation: tidy(deviation) };
  return Math.log1p(Math.max(Math.abs(min), Math.abs(max))) <= 25 ? { type: 'log1p' } : null;
}

/** Never negative, and most of it far below its largest. */
function isHeavy(sorted: Float64Array): boolean {
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  return at(0) >= 0 && at(0.99) > 5 * Math.max(at(0.5), 0.2);
}

/** Six digits say enough of a moment. */
function tidy(x: number): number {
  return Number(x.toPrecision(6));
}

function shown(x: number): string {
  return String(tidy(x));
}
