/** What one column of a log holds, gathered value by value in bounded memory. */
import { featureCharsMax } from '@millrace/protocol';
import { featureFrom } from '../log-file/record-values.ts';
import { createDistinctCount } from './distinct-count.ts';
import { createNumberSketch, type NumberSketch } from './number-sketch.ts';

/** Values of a column counted one by one; with more of them only their number is known. */
export const exactValuesMax = 2_000;
/** What lists in a text may be cut at, the likeliest first. */
export const separators = ['|', ';', ',', ' '] as const;

/** The number that a dense field would read, or null. */
export function numberOf(value: unknown): number | null {
  const number = featureFrom('dense', '', value);
  return typeof number === 'number' ? number : null;
}

export interface ValueCount {
  count: number;
  positives: number;
}

export interface ColumnProfile {
  readonly name: string;
  /** Records seen, missing values among them. */
  readonly records: number;
  readonly missing: number;
  /** Records whose label is 1 among those that lack a value. */
  readonly missingPositives: number;
  /** Different values; an estimate beyond `exactValuesMax`. */
  readonly distinct: number;
  /** By value, where there are at most `exactValuesMax`. */
  readonly values: ReadonlyMap<string, ValueCount> | null;
  /** Values that are numbers, and how they spread; of all values where `isNumeric`. */
  readonly numbers: NumberSketch;
  readonly isNumeric: boolean;
  readonly isInteger: boolean;
  /** Values that are arrays of text or numbers; objects and other values that no field takes. */
  readonly arrays: number;
  readonly unusable: number;
  readonly longTexts: number;
  /** Texts looked at for separators: each value the first time, and every one once there are too many to know. */
  readonly textsCut: number;
  /** By separator: how many of those hold it. */
  readonly cuts: readonly { readonly separator: string; readonly texts: number }[];
  /** Different pieces of the texts when cut at that separator, or of the arrays; an estimate. */
  distinctPieces(separator: string): number;
  /** Values that are not below the one before them, by number or by letter. */
  readonly notFalling: number;
}

export interface ColumnObserver extends ColumnProfile {
  /** Counts records that came before the column did. */
  skip(records: number, positives: number): void;
  observe(value: unknown, label: 0 | 1): void;
}

export function createColumnProfile(name: string): ColumnObserver {
  return new Column(name);
}

class Column implements ColumnObserver {
  readonly name: string;
  readonly numbers = createNumberSketch();
  records = 0;
  missing = 0;
  missingPositives = 0;
  arrays = 0;
  unusable = 0;
  longTexts = 0;
  notFalling = 0;
  textsCut = 0;
  readonly cuts = separators.map((separator) => ({ separator, texts: 0 }));
  readonly #pieces = new Map<string, ReturnType<typeof createDistinctCount>>();
  readonly #distinct = createDistinctCount();
  #values: Map<string, ValueCount> | null = new Map();
  #integers = 0;
  #lastText = '';
  #lastNumber = Number.NEGATIVE_INFINITY;

  constructor(name: string) {
    this.name = name;
  }

  get distinct(): number {
    return this.#values?.size ?? Math.max(exactValuesMax + 1, this.#distinct.estimate());
  }

  get values(): ReadonlyMap<string, ValueCount> | null {
    return this.#values;
  }

  get isNumeric(): boolean {
    const there = this.records - this.missing;
    return there > 0 && this.numbers.count === there;
  }

  get isInteger(): boolean {
    return this.isNumeric && this.#integers === this.numbers.count;
  }

  skip(records: number, positives: number): void {
    this.records += records;
    this.missing += records;
    this.missingPositives += positives;
  }

  distinctPieces(separator: string): number {
    return this.#pieces.get(separator)?.estimate() ?? 0;
  }

  observe(value: unknown, label: 0 | 1): void {
    this.records += 1;
    if (value === null || value === undefined || value === '') {
      this.missing += 1;
      this.missingPositives += label;
      return;
    }
    if (Array.isArray(value)) this.#observeArray(value);
    else if (typeof value === 'object') this.unusable += 1;
    else this.#observeOne(value, label);
  }

  #observeOne(value: unknown, label: 0 | 1): void {
    const text = String(value);
    if (text.length > featureCharsMax) this.longTexts += 1;
    const isNew = this.#count(text, label);
    const number = numberOf(value);
    if (number !== null) {
      this.numbers.add(number);
      if (Number.isInteger(number)) this.#integers += 1;
      if (number >= this.#lastNumber) this.notFalling += 1;
      this.#lastNumber = number;
      return;
    }
    if (typeof value === 'number') this.unusable += 1;
    if (text >= this.#lastText) this.notFalling += 1;
    this.#lastText = text;
    if (isNew) this.#cut(text);
  }

  #observeArray(entries: readonly unknown[]): void {
    const usable = entries.every((entry) => typeof entry === 'string' || numberOf(entry) !== null);
    if (!usable) {
      this.unusable += 1;
      return;
    }
    this.arrays += 1;
    for (const entry of entries) this.#addPiece('', String(entry));
  }

  /** Returns false for a value that is known to have been there before. */
  #count(text: string, label: 0 | 1): boolean {
    if (this.#values === null) {
      this.#distinct.add(text);
      return true;
    }
    const known = this.#values.get(text);
    if (known !== undefined) {
      known.count += 1;
      known.positives += label;
      return false;
    }
    this.#values.set(text, { count: 1, positives: label });
    if (this.#values.size > exactValuesMax) {
      for (const value of this.#values.keys()) this.#distinct.add(value);
      this.#values = null;
    }
    return true;
  }

  #cut(text: string): void {
    this.textsCut += 1;
    for (const cut of this.cuts) {
      if (text.includes(cut.separator)) {
        cut.texts += 1;
        for (const piece of text.split(cut.separator)) if (piece !== '') this.#addPiece(cut.separator, piece);
      } else if (cut.texts > 0) {
        // A list of one is a list as well, so its value counts with the others.
        this.#addPiece(cut.separator, text);
      }
    }
  }

  #addPiece(separator: string, piece: string): void {
    let count = this.#pieces.get(separator);
    if (count === undefined) {
      count = createDistinctCount();
      this.#pieces.set(separator, count);
    }
    count.add(piece);
  }
}
