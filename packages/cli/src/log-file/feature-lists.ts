/**
 * How text formats of weighted features become columns that a model file can name. A format has lists (namespaces of Vowpal
 * Wabbit, fields of libffm, the one list `features` of libsvm), a list has features, a feature has a value:
 *   column `list`            the features of value 1, for a `multi` field
 *   column `list^feature`    the value of a feature for which one is written, 1 too, for a `dense` field; a repeated one adds up
 * Values other than 1 cannot stand in a list, since models weight all values of a `multi` field alike. They are noted as
 * weighted, so that the reading can tell of those that the model does not name.
 */
import { emptyValues } from './log-record.ts';

/** Columns `list^feature` that are wanted; the others are not made. */
export type NumericColumns = 'all' | ReadonlySet<string>;

export interface FeatureLists {
  readonly values: Record<string, unknown>;
  /** Pairs, as a record has them. */
  readonly weighted: readonly string[];
  /** Sets the label as written: a number, with −1 as 0; other text as it is; null when there is none. */
  setLabel(text: string | undefined): void;
  /** Sets a number of the whole record, which means something unless it is `neutral`. */
  set(column: string, value: number, meaning: { readonly neutral: number }): void;
  /** Makes an empty list, if it is not there. */
  open(list: string): void;
  /** @param written `isGiven`: a value stood in the text, and was not left out for 1. */
  add(list: string, feature: string, written: { readonly value: number; readonly isGiven: boolean }): void;
}

/** Columns that a record has beside its lists. A list of such a name gets a bar before it. */
const ownColumns = new Set(['label', 'importance', 'initial', 'tag', 'qid']);

export function createFeatureLists(wanted: NumericColumns): FeatureLists {
  const values = emptyValues();
  const weighted: string[] = [];
  const listOf = (list: string): { name: string; features: string[] } => {
    const name = ownColumns.has(list) ? `|${list}` : list;
    const there = values[name];
    if (Array.isArray(there)) return { name, features: there };
    const features: string[] = [];
    values[name] = features;
    return { name, features };
  };
  return {
    values,
    weighted,
    setLabel(text) {
      const number = text === undefined ? Number.NaN : numberFrom(text);
      if (Number.isNaN(number)) values.label = text ?? null;
      else values.label = number === -1 ? 0 : number;
    },
    set(column, value, { neutral }) {
      values[column] = value;
      if (value !== neutral) weighted.push('', column);
    },
    open: (list) => void listOf(list),
    add(list, feature, { value, isGiven }) {
      const { name, features } = listOf(list);
      if (value === 1) features.push(feature);
      if (value === 1 && (!isGiven || (wanted !== 'all' && wanted.size === 0))) return;
      const column = `${name}^${feature}`;
      if (value !== 1) weighted.push(name, column);
      if (wanted !== 'all' && !wanted.has(column)) return;
      const before = values[column];
      values[column] = typeof before === 'number' ? before + value : value;
    },
  };
}

/** Digits with an optional sign, fraction and exponent: what every tool writes; no hex, no "Infinity". */
const decimal = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** The number that a text writes in decimals; NaN for any other text, and for one that no double can hold. */
export function numberFrom(text: string): number {
  const number = decimal.test(text) ? Number(text) : Number.NaN;
  return Number.isFinite(number) ? number : Number.NaN;
}
