/** What one column of a log holds, gathered value by value in bounded memory. */
import { featureCharsMax } from '@millrace/protocol';
import { createDistinctCount } from './distinct-count.ts';
import { createNumberSketch, type NumberSketch } from './number-sketch.ts';
import { numberFromCell } from './number-text.ts';

/** Values of a column counted one by one; with more of them only their number is known. */
export const exactValuesMax = 2_000;
/** What lists in a text may be cut at, the likeliest first. */
export const separators = ['|', ';', ',', ' '] as const;

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
  /** By separator: texts that hold it, and pieces of all texts cut at it. */
  readonly cuts: readonly { readonly separator: string; readonly texts: number; readonly pieces: number }[];
  /** Different pieces of the texts when cut at that separator, or of the arrays; an estimate. */
  distinctPieces(separator: string): number;
  /** Neighbours in the log that do not fall, and that are equal, of all neighbours. */
  readonly notFalling: number;
  readonly repeats: number;
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
  repeats = 0;
  readonly cuts = separators.map((separator) => ({ separator, texts: 0, pieces: 0 }));
  readonly #pieces = new Map<string, ReturnType<typeof createDistinctCount>>();
  readonly #distinct = createDistinctCount();
  #values: Map<string, ValueCount> | null = new Map();
  #integers = 0;
  #last: unknown;
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
    this.#count(text, label);
    const number = numberFromCell(value);
    if (text === this.#last) this.repeats += 1;
    if (number === null) {
      if (this.#last === undefined || text >= String(this.#last)) this.notFalling += 1;
      this.#cut(text);
    } else {
      this.numbers.add(number);
      if (Number.isInteger(number)) this.#integers += 1;
      if (number >= this.#lastNumber) this.notFalling += 1;
      this.#lastNumber = number;
    }
    this.#last = text;
  }

  #observeArray(entries: readonly unknown[]): void {
    const usable = entries.every((entry) => typeof entry === 'string' || numberFromCell(entry) !== null);
    if (!usable) {
      this.unusable += 1;
      return;
    }
    this.arrays += 1;
    for (const entry of entries) this.#addPiece('', String(entry));
  }

  #count(text: string, label: 0 | 1): void {
    this.#distinct.add(text);
    if (this.#values === null) return;
    const known = this.#values.get(text);
    if (known) {
      known.count += 1;
      known.positives += label;
    } else if (this.#values.size === exactValuesMax) this.#values = null;
    else this.#values.set(text, { count: 1, positives: label });
  }

  #cut(text: string): void {
    for (const cut of this.cuts) {
      if (!text.includes(cut.separator)) {
        cut.pieces += 1;
        // A list of one is a list as well, so its value counts with the others.
        if (cut.texts > 0) this.#addPiece(cut.separator, text);
        continue;
      }
      const pieces = text.split(cut.separator);
      cut.texts += 1;
      cut.pieces += pieces.length;
      for (const piece of pieces) if (piece !== '') this.#addPiece(cut.separator, piece);
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
