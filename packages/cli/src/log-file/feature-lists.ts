/**
 * How text formats of weighted features become columns that a model file can name. A format has lists (namespaces of Vowpal
 * Wabbit, fields of libffm, the one list `features` of libsvm), a list has features, a feature has a value:
 *   column `list`            the features of value 1, for a `multi` field
 *   column `list^feature`    the value of a feature for which one is written, 1 too, for a `dense` field; a repeated one adds up
 * Values other than 1 cannot stand in a list, since models weight all values of a `multi` field alike. They are noted as
 * weighted, so that the reading can tell of those that the model does not name.
 */
import { emptyValues, setValue } from './log-record.ts';

/** Columns `list^feature` that are wanted; the others are not made. */
export type NumericColumns = 'all' | ReadonlySet<string>;

/** Columns that a record has beside its lists. A list of such a name gets a bar before it. */
const ownColumns = new Set(['label', 'importance', 'initial', 'tag', 'qid']);

/** The columns of one record, as a parser fills them in. */
export class FeatureLists {
  readonly values = emptyValues();
  /** Pairs, as a record has them. */
  readonly weighted: string[] = [];
  readonly #wanted: NumericColumns;

  constructor(wanted: NumericColumns) {
    this.#wanted = wanted;
  }

  /** Sets the label as written: a number, with −1 as 0; other text as it is; null when there is none. */
  setLabel(text: string | undefined): void {
    const number = text === undefined ? Number.NaN : numberFrom(text);
    if (Number.isNaN(number)) this.values.label = text ?? null;
    else this.values.label = number === -1 ? 0 : number;
  }

  /** Sets a number of the whole record, which means something unless it is `neutral`. */
  set(column: string, value: number, neutral: 0 | 1): void {
    this.values[column] = value;
    if (value !== neutral) this.weighted.push('', column);
  }

  /** The features of a list, which is made if it is not there. */
  open(list: string): string[] {
    const name = columnOf(list);
    const there = this.values[name];
    if (Array.isArray(there)) return there;
    const features: string[] = [];
    setValue(this.values, name, features);
    return features;
  }

  /** Adds a feature for which no value is written. */
  add(list: string, feature: string): void {
    this.open(list).push(feature);
  }

  /** Adds a feature with the value written for it, 1 or another. */
  addValue(list: string, feature: string, value: number): void {
    const features = this.open(list);
    if (value === 1) features.push(feature);
    if (value === 1 && this.#wanted !== 'all' && this.#wanted.size === 0) return;
    const name = columnOf(list);
    const column = `${name}^${feature}`;
    if (value !== 1) this.weighted.push(name, column);
    if (this.#wanted !== 'all' && !this.#wanted.has(column)) return;
    const before = this.values[column];
    setValue(this.values, column, typeof before === 'number' ? before + value : value);
  }
}

function columnOf(list: string): string {
  return ownColumns.has(list) ? `|${list}` : list;
}

/** Digits with an optional sign, fraction and exponent: what every tool writes; no hex, no "Infinity". */
const decimal = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** The number that a text writes in decimals; NaN for any other text, and for one that no double can hold. */
export function numberFrom(text: string): number {
  const number = decimal.test(text) ? Number(text) : Number.NaN;
  return Number.isFinite(number) ? number : Number.NaN;
}

/** The words of a text, cut at spaces, tabs and other control characters. */
export function wordsOf(text: string): string[] {
  const words: string[] = [];
  let from = 0;
  for (let at = 0; at <= text.length; at++) {
    if (at < text.length && text.charCodeAt(at) > space) continue;
    if (at > from) words.push(text.slice(from, at));
    from = at + 1;
  }
  return words;
}

const space = 32;
