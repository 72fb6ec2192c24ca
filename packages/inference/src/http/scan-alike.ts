/**
 * Passes items that are written as the one before was. What stands between two values says that one has ended, perhaps that an item
 * has ended and the next begins, and how the next value is called; it says so anew in each item, nearly always with the same bytes.
 * Once they have been read (scan-items.ts) they are only compared.
 *
 * The one loop here sees every byte of nearly all requests. It is small enough for all that whole numbers and texts take to be put
 * into it, and keeps what it works with out of objects and modules.
 */
import { columnsMax, entryWords, lengthsMax, packed, textKind, wholeKind } from '@millrace/model';
import { featureCharsMax, scoreItemsMax } from '@millrace/protocol';
import { nine, point, quote, zero } from './json-bytes.ts';
import { digitsEnd, isSame, type JsonText, jsonText, textEnd } from './json-words.ts';
import { digitsMax, scanValue } from './scan-values.ts';

/** Constants of this file are part of its code, those of others are loaded at each use. */
const places = columnsMax;
const wordsAnEntry = entryWords;
const [aText, aWhole] = [textKind, wholeKind];
const lengths = lengthsMax;
const itemsMax = scoreItemsMax;
const textBytesMax = featureCharsMax;
const digits = digitsMax;
const [aQuote, aPoint, aZero, aNine] = [quote, point, zero, nine];

/** Where a scan of items stands. */
export interface Scan {
  /** Behind a value of an item. */
  at: number;
  /** Where in the entries the next one is written. */
  put: number;
  /** Entries so far. */
  found: number;
  /** Items that have begun. */
  items: number;
  /** Values of the item in work so far, and of the one before it. */
  place: number;
  placesBefore: number;
  /** By item its first entry and its first byte. */
  readonly starts: Int32Array;
  readonly begins: Int32Array;
}

/** Longer gaps are not kept. */
const gapBytesMax = 64;
/**
 * By place of a value in its item: the newest gap before such a value, how long it is (0: not known), and to which column it leads.
 * An item begins in that before the first value, and in no other.
 */
const gapBytes = Buffer.alloc(columnsMax * gapBytesMax);
const gapText = jsonText(gapBytes);
const gapLength = new Int32Array(columnsMax);
const gapColumn = new Int32Array(columnsMax);
/** Where in the gap before a first value the item begins. */
let beginWithin = 0;

/** To be called when columns are named anew. */
export function forgetGaps(): void {
  gapLength.fill(0);
}

/**
 * Notes the gap of `length` bytes at `at`, before the value at `place`.
 * @param begins  where in the gap an item begins, −1: none does.
 */
export function noteGap(
  { bytes }: JsonText,
  place: number,
  at: number,
  length: number,
  begins: number,
  column: number,
): void {
  if (place >= columnsMax || length > gapBytesMax) return;
  gapBytes.set(bytes.subarray(at, at + length), place * gapBytesMax);
  gapLength[place] = length;
  gapColumn[place] = column;
  if (begins >= 0) beginWithin = begins;
}

/**
 * Goes on from value to value as long as what stands between them is as before; leaves the scan behind the last of these values.
 * @param scan  behind a value, in an item that has some.
 */
export function scanAlike(text: JsonText, entries: Int32Array, scan: Scan): void {
  const { starts, begins } = scan;
  const toBegin = beginWithin;
  const { placesBefore } = scan;
  let { at, put, found, items, place } = scan;
  for (;;) {
    const foreseen = place === placesBefore ? 0 : place;
    if (foreseen >= places) break;
    const length = gapLength[foreseen];
    if (length === 0 || !isSame(text, at, gapText, foreseen * gapBytesMax, length)) break;
    const from = at + length;
    const told = valueAt(text, from);
    if (told < 0) break;
    const end = told >>> 3;
    const within = (told & 7) === aText ? 1 : 0;
    const bytes = end - from - 2 * within;
    if (bytes >= lengths) break;
    if (foreseen === 0) {
      if (items === itemsMax) break;
      starts[items] = found;
      begins[items] = at + toBegin;
      items += 1;
      place = 0;
    }
    entries[put] = from + within;
    entries[put + 1] = packed(bytes, gapColumn[foreseen], told & 7);
    put += wordsAnEntry;
    found += 1;
    place += 1;
    at = end;
  }
  scan.at = at;
  scan.put = put;
  scan.found = found;
  scan.items = items;
  scan.place = place;
}

/** As scanValue. */
function valueAt(text: JsonText, at: number): number {
  const { bytes } = text;
  const byte = bytes[at];
  if (byte >= aZero && byte <= aNine) {
    const to = digitsEnd(text, at);
    if (to - at <= digits && (byte !== aZero || to === at + 1) && bytes[to] !== aPoint)
      return (to << 3) | aWhole;
  } else if (byte === aQuote) {
    const to = textEnd(text, at + 1);
    return to < 0 || to - at - 1 > textBytesMax ? -1 : ((to + 1) << 3) | aText;
  }
  return scanValue(text, at, true);
}
