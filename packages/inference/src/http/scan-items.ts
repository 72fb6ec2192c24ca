/**
 * Finds where the values of a request's items lie in its JSON, without making objects of them (model, item-columns.ts). It takes
 * what callers send: items of texts without escapes, numbers of up to 15 digits, booleans, nulls and lists of texts and numbers, in
 * whatever order and with whatever space between. What is otherwise, or not JSON, or against the schema of features (schemas.ts) it
 * does not take, and the body is read as a whole: whoever sent it gets the error that he would have got.
 *
 * Items that are written as the one before was are passed quickly (scan-alike.ts); this file is for all others.
 */
import { entryWords, ItemColumns, lengthsMax, packed, textKind } from '@millrace/model';
import { scoreItemsMax } from '@millrace/protocol';
import { columnNames, columnOf, forgetNames, noColumn } from './item-names.ts';
import { begin, colon, comma, end, listEnd, quote } from './json-bytes.ts';
import { type JsonText, textEnd } from './json-words.ts';
import { forgetGaps, noteGap, type Scan, scanAlike } from './scan-alike.ts';
import { afterSpace, scanValue } from './scan-values.ts';

/**
 * Where entries and starts are written, one request after the other: memory of its own for each would be that of most of the
 * requests' garbage. What is full is left to those that still read it.
 */
let slab = new Int32Array(0);
let slabUsed = 0;
const slabWords = 128 * 1_024;
/** An item takes three bytes at least and a feature five, comma and all. */
const itemBytesMin = 3;
const featureBytesMin = 5;
/** The scan in work. */
const scan: Scan = {
  at: 0,
  put: 0,
  found: 0,
  items: 0,
  place: 0,
  placesBefore: 0,
  starts: new Int32Array(scoreItemsMax + 1),
  begins: new Int32Array(scoreItemsMax),
};

/**
 * @param from  where the array of items begins, its bracket.
 * @returns null: not taken.
 */
export function scanItems(text: JsonText, from: number): { items: ItemColumns; to: number } | null {
  reserveSlab(text.size - from);
  let to = scanAll(text, from);
  if (to === noColumn) {
    // For names of other requests: once more without these.
    forgetNames();
    forgetGaps();
    to = scanAll(text, from);
  }
  return to <= 0 ? null : itemsOf(text.bytes, from, to);
}

/** @returns the place behind the list; 0: not taken; noColumn: there are too many names. */
function scanAll(text: JsonText, from: number): number {
  const { bytes } = text;
  const entries = slab;
  scan.at = from + 1;
  scan.put = slabUsed;
  scan.found = 0;
  scan.items = 0;
  scan.place = 0;
  scan.placesBefore = 0;
  for (;;) {
    const gap = scan.at;
    const before = scan.items;
    let at = toName(bytes, gap);
    if (at < 0) return -at;
    if (at === 0 || bytes[at] !== quote) return 0;
    const nameEnd = textEnd(text, at + 1);
    if (nameEnd < 0) return 0;
    const { place } = scan;
    const column = columnOf(text, at + 1, nameEnd, place);
    if (column === noColumn) return noColumn;
    at = afterSpace(bytes, nameEnd + 1);
    if (bytes[at] !== colon) return 0;
    at = afterSpace(bytes, at + 1);
    const begun = scan.items - before;
    // The first gap begins behind no value, and where items begin that have none, the same bytes may mean more items another time.
    if (before > 0 && begun <= 1)
      noteGap(text, place, gap, at - gap, begun === 0 ? -1 : scan.begins[before] - gap, column);
    if (!addEntry(text, entries, at, column)) return 0;
    scanAlike(text, entries, scan);
  }
}

/**
 * Passes what stands between a value and the name of the next one, and notes the items that begin there.
 * @param at  behind a value of an item, or behind the bracket that opens the list.
 * @returns the place of the name; behind the last item that behind the list, negative; 0: not taken.
 */
function toName(body: Uint8Array, at: number): number {
  let next = afterSpace(body, at);
  if (scan.items > 0) {
    if (body[next] === comma) return afterSpace(body, next + 1);
    if (body[next] !== end) return 0;
    next = afterItem(body, next + 1);
    scan.placesBefore = scan.place;
    scan.place = 0;
  }
  // One after the other the items that have no value, up to one that has.
  while (next > 0) {
    if (body[next] !== begin || scan.items === scoreItemsMax) return 0;
    scan.starts[scan.items] = scan.found;
    scan.begins[scan.items] = next;
    scan.items += 1;
    next = afterSpace(body, next + 1);
    if (body[next] !== end) return next;
    next = afterItem(body, next + 1);
  }
  return next;
}

/** @returns where the next item begins, `at` being behind one; of the last the place behind the list, negative; 0: not taken. */
function afterItem(body: Uint8Array, at: number): number {
  const next = afterSpace(body, at);
  if (body[next] === comma) return afterSpace(body, next + 1);
  return body[next] === listEnd ? -(next + 1) : 0;
}

/** Whether the value at `at` is taken; it is added to the entries then. */
function addEntry(text: JsonText, entries: Int32Array, at: number, column: number): boolean {
  const told = scanValue(text, at, true);
  if (told < 0) return false;
  const kind = told & 7;
  const valueEnd = told >>> 3;
  const within = kind === textKind ? 1 : 0;
  const length = valueEnd - at - 2 * within;
  if (length >= lengthsMax) return false;
  entries[scan.put] = at + within;
  entries[scan.put + 1] = packed(length, column, kind);
  scan.put += entryWords;
  scan.found += 1;
  scan.place += 1;
  scan.at = valueEnd;
  return true;
}

/** Makes room for what a text of so many bytes may have. */
function reserveSlab(bytes: number): void {
  const words = entryWords * Math.ceil(bytes / featureBytesMin) + 2 * Math.ceil(bytes / itemBytesMin) + 1;
  if (slabUsed + words <= slab.length) return;
  slab = new Int32Array(Math.max(slabWords, words));
  slabUsed = 0;
}

function itemsOf(body: Buffer, from: number, to: number): { items: ItemColumns; to: number } {
  const { put, items, found, starts, begins } = scan;
  const entries = slab;
  const first = slabUsed;
  starts[items] = found;
  const putBegins = put + items + 1;
  slabUsed = putBegins + items;
  entries.set(starts.subarray(0, items + 1), put);
  entries.set(begins.subarray(0, items), putBegins);
  const [values, firsts] = [entries.subarray(first, put), entries.subarray(put, putBegins)];
  const bytes = entries.subarray(putBegins, slabUsed);
  return { items: new ItemColumns(body, from, to, columnNames(), values, firsts, bytes), to };
}
