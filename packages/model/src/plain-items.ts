/**
 * Items of which each value is one key and nothing else, encoded in passes: all keys of some items are made, and then all of them
 * are looked up in the batch. Item after item and value after value, the one would wait for the other: how many bytes a value has,
 * and whether its key is in the batch already, no processor foresees. What comes to be in the batch is the same to the bit.
 */
import { hashBytes } from '@millrace/core';
import { boundKey } from './bounded-key.ts';
import type { KeyField } from './feature-plan.ts';
import {
  columnIn,
  columnsMax,
  entryWords,
  type ItemColumns,
  isHashedAsIs,
  kindIn,
  lengthIn,
  nullKind,
} from './item-columns.ts';
import { placeOf, reserve, type SparseBatch, type TableBatch } from './sparse-batch.ts';

/** Items a pass: what one writes and the next reads stays in the processor's nearest cache. */
const itemsMax = 128;

export interface PlainItems {
  /** Takes a request's items, in work until the next ones. */
  begin(items: ItemColumns): void;
  /**
   * Makes the keys of items [from, to), up to the first that is not plain.
   * @returns behind the last item whose keys were made.
   */
  hash(from: number, to: number): number;
  /**
   * Adds the occurrences that the first `count` of the items hashed last have in a table: those of the example in work and the ones
   * behind it.
   * @param fields  of the table, by their places among the items' own.
   */
  add(batch: SparseBatch, table: TableBatch, fields: Int32Array, count: number): void;
}

/** @param own  the items' own fields, all of kind `single`. */
export function createPlainItems(own: readonly KeyField[]): PlainItems {
  const width = own.length;
  const seedLows = Int32Array.from(own, ({ seedLow }) => seedLow);
  const seedHighs = Int32Array.from(own, ({ seedHigh }) => seedHigh);
  const buckets = Int32Array.from(own, ({ buckets }) => buckets);
  const slots = Int32Array.from(own, ({ slot }) => slot);
  /** By item and field: its key, and whether it has one. */
  const words = new Uint32Array(2 * itemsMax * width);
  const has = new Uint8Array(itemsMax * width);
  /** By column its field, −1: none reads it. */
  const fieldOf = new Int32Array(columnsMax);
  let items: ItemColumns | null = null;
  /** The columns that `fieldOf` is of: most requests have the very same list (ItemColumns.names). */
  let names: readonly string[] = [];

  const hashItem = ({ text, entries, starts }: ItemColumns, i: number, base: number): boolean => {
    for (let n = 0; n < width; n += 1) has[base + n] = 0;
    const end = entryWords * starts[i + 1];
    for (let entry = entryWords * starts[i]; entry < end; entry += entryWords) {
      const told = entries[entry + 1];
      const n = fieldOf[columnIn(told)];
      if (n < 0) continue;
      const kind = kindIn(told);
      const length = lengthIn(told);
      const at = base + n;
      if (length === 0 || kind === nullKind) {
        has[at] = 0;
        continue;
      }
      if (!isHashedAsIs(kind)) return false;
      const from = entries[entry];
      hashBytes(text, from, from + length, seedLows[n], seedHighs[n], words, 2 * at);
      if (buckets[n] > 0) boundKey(words, 2 * at, buckets[n], own[n]);
      has[at] = 1;
    }
    return true;
  };

  return {
    begin(newItems) {
      items = newItems;
      if (names === newItems.names) return;
      names = newItems.names;
      fieldOf.fill(-1, 0, names.length);
      own.forEach(({ name }, n) => {
        const column = names.indexOf(name);
        if (column >= 0) fieldOf[column] = n;
      });
    },
    hash(from, to) {
      if (items === null) return from;
      const end = Math.min(to, from + itemsMax);
      for (let i = from; i < end; i += 1) if (!hashItem(items, i, (i - from) * width)) return i;
      return end;
    },
    add(batch, table, fields, count) {
      const many = fields.length;
      reserve(table, count * many);
      const { keyOf, exampleOf, slotOf, xOf, sharedOf } = table;
      let at = table.occurrences;
      const end = batch.rows + count;
      let base = 0;
      for (let example = batch.rows; example < end; example += 1) {
        for (let i = 0; i < many; i += 1) {
          const n = fields[i];
          const key = base + n;
          if (has[key] === 0) continue;
          keyOf[at] = placeOf(table, words[2 * key] | 0, words[2 * key + 1] | 0);
          exampleOf[at] = example;
          slotOf[at] = slots[n];
          xOf[at] = 1;
          sharedOf[at] = 0;
          at += 1;
        }
        base += width;
      }
      table.occurrences = at;
    },
  };
}
