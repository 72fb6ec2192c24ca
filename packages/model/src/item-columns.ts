/**
 * Items whose values still lie in the JSON that they came in: where each begins and ends, and of what kind it is. Most values
 * are only hashed, which goes by the bytes as they are, so no object and no text is made of them.
 *
 *   entry   int32[features, 2]   first byte; length, column and kind, packed      in the order of the text
 *   starts  int32[items + 1]     an item's first entry
 *   begins  int32[items]         an item's first byte
 *
 * Of a name that an item has twice the last value counts, as with JSON.parse, which is the plain twin of all this.
 */
import type { Features, FeatureValue } from '@millrace/protocol';

/** A text's bytes are those between its quotes, and have no escapes. */
export const textKind = 1;
/** Its bytes are the text of the number as JavaScript writes it. */
export const wholeKind = 2;
export const booleanKind = 3;
export const numberKind = 4;
export const listKind = 5;
export const nullKind = 6;

export const entryWords = 2;
/** Columns are below it. */
export const columnsMax = 256;
/** Bytes of a value are below it. */
export const lengthsMax = 2 ** 21;

/** The second word of an entry. */
export function packed(length: number, column: number, kind: number): number {
  return (length << 11) | (column << 3) | kind;
}

export function kindIn(word: number): number {
  return word & 7;
}

export function columnIn(word: number): number {
  return (word >>> 3) & (columnsMax - 1);
}

export function lengthIn(word: number): number {
  return word >>> 11;
}

/** Kinds whose bytes are the very text that is hashed. */
export function isHashedAsIs(kind: number): boolean {
  return kind <= booleanKind;
}

export class ItemColumns {
  /** Items. */
  readonly length: number;
  /** By column; some may be of no item. The same list in many requests. */
  readonly names: readonly string[];
  /** UTF-8. */
  readonly text: Buffer;
  readonly entries: Int32Array;
  readonly starts: Int32Array;
  readonly begins: Int32Array;
  readonly #from: number;
  readonly #to: number;
  #features: readonly Features[] | null = null;

  /** @param from,to  the array of items in `text`, brackets and all. */
  constructor(
    text: Buffer,
    from: number,
    to: number,
    names: readonly string[],
    entries: Int32Array,
    starts: Int32Array,
    begins: Int32Array,
  ) {
    this.length = starts.length - 1;
    this.text = text;
    this.names = names;
    this.entries = entries;
    this.starts = starts;
    this.begins = begins;
    this.#from = from;
    this.#to = to;
  }

  /** Behind the last byte of an item's last value, of a text without its quote; where it begins if it has none. */
  endOf(item: number): number {
    if (this.starts[item] === this.starts[item + 1]) return this.begins[item];
    const last = entryWords * (this.starts[item + 1] - 1);
    return this.entries[last] + lengthIn(this.entries[last + 1]);
  }

  /** The value of the entry whose words begin at `entries[at]`; as features have it. */
  value(at: number): FeatureValue {
    const from = this.entries[at];
    const told = this.entries[at + 1];
    const text = this.text.toString('utf8', from, from + lengthIn(told));
    return kindIn(told) === textKind ? text : (JSON.parse(text) as FeatureValue);
  }

  /** The items as objects; made at the first call. */
  features(): readonly Features[] {
    this.#features ??= JSON.parse(this.text.toString('utf8', this.#from, this.#to)) as readonly Features[];
    return this.#features;
  }
}

/** The items of a request: as objects, or as they lie in its text. */
export type Items = readonly Features[] | ItemColumns;

export function featuresOf(items: Items): readonly Features[] {
  return items instanceof ItemColumns ? items.features() : items;
}
