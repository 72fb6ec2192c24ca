/**
 * What items were encoded to, kept from one request to the next: the bytes of an item → its keys by field. A catalogue is short
 * beside what is asked of it, and of an item that is known nothing has to be cut apart or hashed.
 *
 * An item is found by its bytes, all of which are compared, and its keys depend on nothing else but the model file: nothing goes
 * stale, whatever is learned.
 *
 *   entry   hash · words of the entry (entry-store.ts)
 *           · bytes · keys · by field [first key, keys, x as float32] · keys, two words each · text, four bytes a word
 *             a first key is told by how many words it lies behind the entry's begin
 *
 * Where items do not come again, looking for them is lost work: of such a stream one request in `sampled` is looked at, and shows
 * when that changes.
 */
import { aheadWords, EntryStore, sizeAt } from './entry-store.ts';
import type { ItemColumns } from './item-columns.ts';
import { type FieldKeys, placeOf, reserve, type SparseBatch, type TableBatch } from './sparse-batch.ts';

/** Longer items, and those with more keys, are not kept. */
const textBytesMax = 1_024;
const keysMax = 1_024;
/** Where an entry has what, and a field of it. */
const bytesAt = 2;
const keysAt = 3;
const fieldsAt = 4;
const fieldWords = 3;
const countAt = 1;
const xAt = 2;
/** Items asked for between two looks at how many of them were known. */
const lookEvery = 4_096;
/** Of those asked for: from here on all requests are looked at, and below it some. */
const worthwhile = 1 / 3;
const sampled = 64;
/** Of a line of the processor's cache. */
const lineWords = aheadWords / 2;

/** Of an item that is not known: it is to be kept, or it is not. */
export const unknown = -1;
export const passedOver = -2;

export interface KnownItems {
  /** By item of the request where what is known of it begins, for `recall`; or `unknown`, or `passedOver`. */
  entries: Int32Array;
  /** Items that were known so far. */
  readonly found: number;
  /** Looks for the items of a request, which is in work until the next one. */
  find(items: ItemColumns): void;
  /** The items of a request, none of which is looked for. */
  passOver(items: ItemColumns): void;
  /** How many keys the entry has. */
  keysOf(entry: number): number;
  /** Writes an entry's keys behind the first `used` of `keys`, which has room for them. */
  recall(entry: number, keys: FieldKeys, used: number): void;
  /** Keeps what item `i` of the request was encoded to. */
  keep(i: number, keys: FieldKeys): void;
  /**
   * Adds the occurrences that items [from, to) of the request, all of them known, have in a table: those of the example in work and
   * the ones behind it. As `recall` and addOccurrences, item after item.
   * @param fields  of the table, by their places among the items' own.
   */
  add(batch: SparseBatch, table: TableBatch, fields: Int32Array, from: number, to: number): void;
}

/** @param own  places of the items' own fields. @param keys  slots and steps of all fields. */
export function createKnownItems(own: Int32Array, keys: Pick<FieldKeys, 'slots' | 'steps'>): KnownItems {
  return new Items(own, keys);
}

class Items implements KnownItems {
  entries = new Int32Array(0);
  found = 0;
  readonly #fields: Int32Array;
  readonly #fieldCount: number;
  /** Of the own fields. */
  readonly #slots: Int32Array;
  readonly #steps: Int32Array;
  readonly #store = new EntryStore();
  /** By item of the request in work its hash and its bytes, and where in #text they begin, four a word. */
  #hashes = new Int32Array(0);
  #bytes = new Int32Array(0);
  #texts = new Int32Array(0);
  #text = new Int32Array(0);
  /** What was loaded ahead of its use; kept, or it would not be loaded. */
  mix = 0;
  #looksAtAll = true;
  /** Requests since the last one that was looked at, where only some are. */
  #skipped = 0;
  /** Items asked for since the last look, and `found` at that time. */
  #asked = 0;
  #foundBefore = 0;

  constructor(fields: Int32Array, { slots, steps }: Pick<FieldKeys, 'slots' | 'steps'>) {
    this.#fields = fields;
    this.#fieldCount = fields.length;
    this.#slots = fields.map((f) => slots[f]);
    this.#steps = fields.map((f) => steps[f]);
  }

  find(items: ItemColumns): void {
    const { length } = items;
    if (this.#asked >= lookEvery) this.#look();
    if (!this.#isLookedAt()) {
      this.passOver(items);
      return;
    }
    this.#store.settle();
    this.#reserveItems(length);
    this.#read(items);
    this.#probe(length);
    this.#compare(length);
  }

  passOver({ length }: ItemColumns): void {
    this.#reserveItems(length);
    this.entries.fill(passedOver, 0, length);
  }

  keysOf(entry: number): number {
    return this.#store.words[entry + keysAt];
  }

  recall(entry: number, { starts, counts, xs, words: to }: FieldKeys, used: number): void {
    const { words, floats } = this.#store;
    const fields = this.#fields;
    const many = this.#fieldCount;
    let at = entry + fieldsAt;
    let next = used;
    for (let n = 0; n < many; n += 1) {
      const f = fields[n];
      starts[f] = next;
      counts[f] = words[at + countAt];
      xs[f] = floats[at + xAt];
      next += counts[f];
      at += fieldWords;
    }
    const end = 2 * next;
    for (let put = 2 * used; put < end; put += 1) {
      to[put] = words[at];
      at += 1;
    }
  }

  keep(i: number, { words: from, starts, counts, xs }: FieldKeys): void {
    const fields = this.#fields;
    const textWords = wordsOf(this.#bytes[i]);
    let keys = 0;
    for (const f of fields) keys += counts[f];
    const size = fieldsAt + fieldWords * fields.length + 2 * keys + textWords;
    // The same item may have come twice.
    const store = this.#store;
    if (keys > keysMax || store.placeOf(this.#hashes[i]) >= 0 || !store.reserve(size)) return;
    const { words, floats, used: entry } = store;
    words[entry] = this.#hashes[i];
    words[entry + sizeAt] = size;
    words[entry + bytesAt] = this.#bytes[i];
    words[entry + keysAt] = keys;
    let at = entry + fieldsAt;
    let put = at + fieldWords * fields.length;
    for (const f of fields) {
      words[at] = put - entry;
      words[at + countAt] = counts[f];
      floats[at + xAt] = xs[f];
      at += fieldWords;
      for (let k = 2 * starts[f]; k < 2 * (starts[f] + counts[f]); k += 1) {
        words[put] = from[k];
        put += 1;
      }
    }
    for (let w = 0; w < textWords; w += 1) words[put + w] = this.#text[this.#texts[i] + w];
    store.add();
    this.entries[i] = entry;
  }

  add(batch: SparseBatch, table: TableBatch, fields: Int32Array, from: number, to: number): void {
    const { entries } = this;
    const { words, floats } = this.#store;
    const slots = this.#slots;
    const steps = this.#steps;
    const many = fields.length;
    if (many === 0) return;
    let more = 0;
    for (let i = from; i < to; i += 1) more += words[entries[i] + keysAt];
    reserve(table, more);
    const { keyOf, exampleOf, slotOf, xOf, sharedOf } = table;
    let at = table.occurrences;
    let example = batch.rows;
    for (let i = from; i < to; i += 1) {
      const entry = entries[i];
      for (let n = 0; n < many; n += 1) {
        const field = entry + fieldsAt + fieldWords * fields[n];
        const x = floats[field + xAt];
        let slot = slots[fields[n]];
        let key = entry + words[field];
        const end = key + 2 * words[field + countAt];
        for (; key < end; key += 2) {
          keyOf[at] = placeOf(table, words[key], words[key + 1]);
          exampleOf[at] = example;
          slotOf[at] = slot;
          xOf[at] = x;
          sharedOf[at] = 0;
          at += 1;
          slot += steps[fields[n]];
        }
      }
      example += 1;
    }
    table.occurrences = at;
  }

  #isLookedAt(): boolean {
    this.#skipped = this.#looksAtAll || this.#skipped + 1 === sampled ? 0 : this.#skipped + 1;
    return this.#skipped === 0;
  }

  #reserveItems(length: number): void {
    if (this.#hashes.length >= length) return;
    const room = 2 * length;
    this.entries = new Int32Array(room);
    this.#hashes = new Int32Array(room);
    this.#bytes = new Int32Array(room);
    this.#texts = new Int32Array(room);
  }

  /** Leaves bytes and hashes of the items. */
  #read(items: ItemColumns): void {
    const { length, begins, text } = items;
    const view = new DataView(text.buffer, text.byteOffset, text.byteLength);
    const wordsMax = ((begins[length - 1] - begins[0] + textBytesMax) >> 2) + 2 * length;
    if (this.#text.length < wordsMax) this.#text = new Int32Array(2 * wordsMax);
    const out = this.#text;
    const hashes = this.#hashes;
    const bytes = this.#bytes;
    const texts = this.#texts;
    let put = 0;
    for (let i = 0; i < length; i += 1) {
      const from = begins[i];
      const count = items.endOf(i) - from;
      texts[i] = put;
      bytes[i] = count;
      if (count > textBytesMax) continue;
      const end = from + count;
      let hash = count;
      let other = 0;
      let at = from;
      // Two words go their ways beside each other, as each step waits for the one before.
      for (; at + 8 <= end; at += 8) {
        const word = view.getInt32(at, true);
        const next = view.getInt32(at + 4, true);
        out[put] = word;
        out[put + 1] = next;
        put += 2;
        hash = Math.imul(hash ^ word, 0xcc9e_2d51);
        hash = (hash << 13) | (hash >>> 19);
        other = Math.imul(other ^ next, 0x1b87_3593);
        other = (other << 17) | (other >>> 15);
      }
      hash ^= other;
      if (at + 4 <= end) {
        const word = view.getInt32(at, true);
        out[put] = word;
        put += 1;
        at += 4;
        hash = Math.imul(hash ^ word, 0xcc9e_2d51);
        hash = (hash << 13) | (hash >>> 19);
      }
      let word = 0;
      for (let shift = 0; at < end; at += 1) {
        word |= text[at] << shift;
        shift += 8;
      }
      out[put] = word;
      put += 1;
      hash = Math.imul(hash ^ word, 0xcc9e_2d51);
      hash = Math.imul(hash ^ (hash >>> 15), 0x85eb_ca6b);
      hashes[i] = hash ^ (hash >>> 13);
    }
  }

  /** Finds by hash alone, and loads what is found: scattered, these are cache misses, which overlap where nothing waits for them. */
  #probe(length: number): void {
    const hashes = this.#hashes;
    const bytes = this.#bytes;
    const { entries } = this;
    const store = this.#store;
    const { index, words } = store;
    let mix = 0;
    for (let i = 0; i < length; i += 1) {
      if (bytes[i] > textBytesMax) {
        entries[i] = passedOver;
        continue;
      }
      const place = store.placeOf(hashes[i]);
      const entry = place < 0 ? unknown : index[place + 1] - 1;
      entries[i] = entry;
      // A word of each of its first lines of the cache.
      if (entry >= 0) mix += words[entry] + words[entry + lineWords] + words[entry + 2 * lineWords];
    }
    this.mix = mix;
  }

  /** Compares what was found by all of its bytes. */
  #compare(length: number): void {
    const { entries } = this;
    let asked = 0;
    let found = 0;
    for (let i = 0; i < length; i += 1) {
      if (entries[i] === passedOver) continue;
      asked += 1;
      if (entries[i] < 0) continue;
      if (!this.#isItem(entries[i], i)) entries[i] = passedOver;
      else {
        found += 1;
        entries[i] = this.#store.renew(entries[i]);
      }
    }
    this.#asked += asked;
    this.found += found;
  }

  #isItem(entry: number, i: number): boolean {
    const { words } = this.#store;
    const count = this.#bytes[i];
    if (words[entry + bytesAt] !== count) return false;
    const text = this.#text;
    const from = this.#texts[i];
    const many = wordsOf(count);
    const at = entry + words[entry + sizeAt] - many;
    // Nearly always all of them are alike, so nothing is asked before the end.
    let difference = 0;
    let w = 0;
    for (; w + 4 <= many; w += 4) {
      const a = at + w;
      const b = from + w;
      difference |=
        (words[a] ^ text[b]) |
        (words[a + 1] ^ text[b + 1]) |
        (words[a + 2] ^ text[b + 2]) |
        (words[a + 3] ^ text[b + 3]);
    }
    for (; w < many; w += 1) difference |= words[at + w] ^ text[from + w];
    return difference === 0;
  }

  #look(): void {
    this.#looksAtAll = this.found - this.#foundBefore >= worthwhile * this.#asked;
    this.#asked = 0;
    this.#foundBefore = this.found;
  }
}

/** Words of so many bytes: of what is left behind whole ones there is always one. */
function wordsOf(bytes: number): number {
  return (bytes >> 2) + 1;
}
