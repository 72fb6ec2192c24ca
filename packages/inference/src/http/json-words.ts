/**
 * JSON read four bytes at a time. Of the four in a word those that are looked for get their highest bit set, and the lowest of these
 * says where the first is: no branch a byte, whose end the processor could not foresee. A mark above the lowest one may be wrong,
 * since a subtraction borrows from the bytes above.
 */
import { backslash, nine, quote, space, zero } from './json-bytes.ts';

const each = 0x0101_0101;
const marks = 0x8080_8080;
const zeros = each * zero;
const quotes = each * quote;
const backslashes = each * backslash;
const spaces = each * space;
/** Added to a byte it sets the highest bit from ten on. */
const tens = each * (0x80 - 10);

/** A text by its bytes, UTF-8, and by its words. */
export interface JsonText {
  readonly bytes: Buffer;
  readonly view: DataView;
  /** Bytes; a view that is asked for them is called. */
  readonly size: number;
}

export function jsonText(bytes: Buffer): JsonText {
  const { buffer, byteOffset, byteLength } = bytes;
  return { bytes, view: new DataView(buffer, byteOffset, byteLength), size: byteLength };
}

/** Place of the first byte from `at` on that is no digit. */
export function digitsEnd({ view, size }: JsonText, at: number): number {
  let next = at;
  for (; next + 4 <= size; next += 4) {
    const word = view.getInt32(next, true) ^ zeros;
    const found = ((word + tens) | word) & marks;
    if (found !== 0) return next + firstOf(found);
  }
  while (next < size && view.getUint8(next) >= zero && view.getUint8(next) <= nine) next += 1;
  return next;
}

/** Place of the quote that ends the text from `at` on; −1: it has escapes or control characters, or does not end. */
export function textEnd({ view, size }: JsonText, at: number): number {
  let next = at;
  for (; next + 4 <= size; next += 4) {
    const word = view.getInt32(next, true);
    const asQuote = word ^ quotes;
    const asBackslash = word ^ backslashes;
    const found =
      (((asQuote - each) & ~asQuote) | ((asBackslash - each) & ~asBackslash) | ((word - spaces) & ~word)) &
      marks;
    if (found !== 0) {
      next += firstOf(found);
      return view.getUint8(next) === quote ? next : -1;
    }
  }
  for (; next < size; next += 1) {
    const byte = view.getUint8(next);
    if (byte === quote) return next;
    if (byte < space || byte === backslash) return -1;
  }
  return -1;
}

/** Whether the `length` bytes at `at` are those at `otherAt` of another text, which are all there. */
export function isSame(
  { view, size }: JsonText,
  at: number,
  { view: other }: JsonText,
  otherAt: number,
  length: number,
): boolean {
  if (at + length > size) return false;
  let i = 0;
  for (; i + 4 <= length; i += 4) {
    if (view.getInt32(at + i, true) !== other.getInt32(otherAt + i, true)) return false;
  }
  for (; i < length; i += 1) if (view.getUint8(at + i) !== other.getUint8(otherAt + i)) return false;
  return true;
}

/** Which byte of a word, the lowest first, is the first that is marked. */
function firstOf(marked: number): number {
  return (31 - Math.clz32(marked & -marked)) >> 3;
}
