/**
 * Finds where the values of a request's items lie in its JSON, without making objects of them (model, item-columns.ts). It takes
 * what callers send: items of texts without escapes, numbers of up to 15 digits, booleans, nulls and lists of texts and numbers, in
 * whatever order and with whatever space between. What is otherwise, or not JSON, or against the schema of features (schemas.ts) it
 * does not take, and the body is read as a whole: whoever sent it gets the error that he would have got.
 */
import {
  booleanKind,
  columnsMax,
  entryWords,
  ItemColumns,
  lengthsMax,
  listKind,
  nullKind,
  numberKind,
  packed,
  textKind,
  wholeKind,
} from '@millrace/model';
import { featureCharsMax, featureValuesMax, scoreItemsMax } from '@millrace/protocol';
import {
  backslash,
  begin,
  colon,
  comma,
  end,
  listBegin,
  listEnd,
  minus,
  nine,
  point,
  quote,
  space,
  zero,
} from './json-bytes.ts';

/** With more of them, two numbers could be one in JavaScript. */
const digitsMax = 15;
/** Their objects would have these already, or take them for something else. */
const strangeNames = new Set(['__proto__', 'constructor']);

/**
 * Where entries and starts are written, one request after the other: memory of its own for each would be that of most of the
 * requests' garbage. What is full is left to those that still read it.
 */
let slab = new Int32Array(0);
let slabUsed = 0;
const slabWords = 128 * 1_024;
/** By item of the request in work its first entry and its first byte. */
const starts = new Int32Array(scoreItemsMax + 1);
const begins = new Int32Array(scoreItemsMax);
/** An item takes three bytes at least and a feature five, comma and all. */
const itemBytesMin = 3;
const featureBytesMin = 5;
/** By column where its name lies, without quotes. */
const nameAt = new Int32Array(columnsMax);
const nameLength = new Int32Array(columnsMax);

/**
 * @param body  UTF-8.
 * @param from  where the array of items begins, its bracket.
 * @returns null: not taken.
 */
export function scanItems(body: Buffer, from: number): { items: ItemColumns; to: number } | null {
  const names: string[] = [];
  let items = 0;
  let found = 0;
  reserveSlab(body.length - from);
  const entries = slab;
  const first = slabUsed;
  let put = first;
  let at = afterSpace(body, from + 1);
  for (;;) {
    if (body[at] !== begin || items === scoreItemsMax) return null;
    starts[items] = found;
    begins[items] = at;
    items += 1;
    at = afterSpace(body, at + 1);
    for (let column = 0; body[at] !== end; column += 1) {
      if (body[at] !== quote) return null;
      if (!isNamed(body, at + 1, column, names.length)) {
        column = columnOf(body, at + 1, names);
        if (column < 0) return null;
      }
      at = afterSpace(body, at + nameLength[column] + 2);
      if (body[at] !== colon) return null;
      at = afterSpace(body, at + 1);
      const told = scanValue(body, at, true);
      if (told < 0) return null;
      const kind = told & 7;
      const valueEnd = told >>> 3;
      const within = kind === textKind ? 1 : 0;
      const length = valueEnd - at - 2 * within;
      if (length >= lengthsMax) return null;
      entries[put] = at + within;
      entries[put + 1] = packed(length, column, kind);
      put += entryWords;
      found += 1;
      at = afterSpace(body, valueEnd);
      if (body[at] === comma) {
        at = afterSpace(body, at + 1);
        if (body[at] === end) return null;
      } else if (body[at] !== end) return null;
    }
    at = afterSpace(body, at + 1);
    if (body[at] === listEnd) break;
    if (body[at] !== comma) return null;
    at = afterSpace(body, at + 1);
  }
  starts[items] = found;
  const to = at + 1;
  const putBegins = put + items + 1;
  slabUsed = putBegins + items;
  entries.set(starts.subarray(0, items + 1), put);
  entries.set(begins.subarray(0, items), putBegins);
  const [values, firsts] = [entries.subarray(first, put), entries.subarray(put, putBegins)];
  const bytes = entries.subarray(putBegins, slabUsed);
  return { items: new ItemColumns(body, from, to, names, values, firsts, bytes), to };
}

/** Makes room for what a text of so many bytes may have. */
function reserveSlab(bytes: number): void {
  const words = entryWords * Math.ceil(bytes / featureBytesMin) + 2 * Math.ceil(bytes / itemBytesMin) + 1;
  if (slabUsed + words <= slab.length) return;
  slab = new Int32Array(Math.max(slabWords, words));
  slabUsed = 0;
}

/** Place of the first byte from `at` on that is no space. */
export function afterSpace(body: Uint8Array, at: number): number {
  let next = at;
  for (let byte = body[next]; byte <= space; byte = body[next]) {
    if (byte !== space && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return next;
    next += 1;
  }
  return next;
}

/** Place of the quote that ends the text from `at` on; −1: it has escapes, or does not end. */
export function textEnd(body: Uint8Array, at: number): number {
  let next = at;
  for (let byte = body[next]; byte !== quote; byte = body[next]) {
    if (!(byte >= space) || byte === backslash) return -1;
    next += 1;
  }
  return next;
}

/** Whether the name at `at` is that of a column; names come in one order as a rule, so that the first guess is right. */
function isNamed(body: Uint8Array, at: number, column: number, columns: number): boolean {
  if (column >= columns) return false;
  const length = nameLength[column];
  const from = nameAt[column];
  for (let i = 0; i < length; i += 1) if (body[at + i] !== body[from + i]) return false;
  return body[at + length] === quote;
}

/** Column of the name at `at`, a new one where it is new; −1: not taken. */
function columnOf(body: Buffer, at: number, names: string[]): number {
  for (let column = 0; column < names.length; column += 1)
    if (isNamed(body, at, column, names.length)) return column;
  const to = textEnd(body, at);
  if (to < 0 || names.length === columnsMax) return -1;
  const name = body.toString('utf8', at, to);
  if (strangeNames.has(name)) return -1;
  nameAt[names.length] = at;
  nameLength[names.length] = to - at;
  return names.push(name) - 1;
}

/** @returns where the value at `at` ends, times 8, and its kind; −1: not taken. */
function scanValue(body: Uint8Array, at: number, takesAll: boolean): number {
  const byte = body[at];
  if (byte === quote) {
    const to = textEnd(body, at + 1);
    return to < 0 || to - at - 1 > featureCharsMax ? -1 : ((to + 1) << 3) | textKind;
  }
  if (byte === minus || (byte >= zero && byte <= nine)) return scanNumber(body, at);
  if (!takesAll) return -1;
  if (byte === listBegin) return scanList(body, at);
  if (isWord(body, at, 'null')) return ((at + 4) << 3) | nullKind;
  if (isWord(body, at, 'true')) return ((at + 4) << 3) | booleanKind;
  if (isWord(body, at, 'false')) return ((at + 5) << 3) | booleanKind;
  return -1;
}

function scanNumber(body: Uint8Array, at: number): number {
  const first = body[at] === minus ? at + 1 : at;
  const whole = digitsEnd(body, first);
  const digits = whole - first;
  if (digits === 0 || digits > digitsMax || (body[first] === zero && digits > 1)) return -1;
  const isPlain = first === at || body[first] !== zero;
  let to = whole;
  if (body[whole] === point) {
    to = digitsEnd(body, whole + 1);
    if (to === whole + 1) return -1;
  }
  // What has an exponent does not end here, which who asked sees.
  return (to << 3) | (to === whole && isPlain ? wholeKind : numberKind);
}

function digitsEnd(body: Uint8Array, at: number): number {
  let next = at;
  while (body[next] >= zero && body[next] <= nine) next += 1;
  return next;
}

function scanList(body: Uint8Array, at: number): number {
  let next = afterSpace(body, at + 1);
  if (body[next] === listEnd) return ((next + 1) << 3) | listKind;
  for (let count = 1; count <= featureValuesMax; count += 1) {
    const told = scanValue(body, next, false);
    if (told < 0) return -1;
    next = afterSpace(body, told >>> 3);
    if (body[next] === listEnd) return ((next + 1) << 3) | listKind;
    if (body[next] !== comma) return -1;
    next = afterSpace(body, next + 1);
  }
  return -1;
}

function isWord(body: Uint8Array, at: number, word: string): boolean {
  for (let i = 0; i < word.length; i += 1) if (body[at + i] !== word.charCodeAt(i)) return false;
  return true;
}
