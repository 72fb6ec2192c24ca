/** Finds where a value of a feature ends in JSON, and of what kind it is (model, item-columns.ts). */
import { booleanKind, listKind, nullKind, numberKind, textKind, wholeKind } from '@millrace/model';
import { featureCharsMax, featureValuesMax } from '@millrace/protocol';
import { comma, listBegin, listEnd, minus, nine, point, quote, space, zero } from './json-bytes.ts';
import { digitsEnd, type JsonText, textEnd } from './json-words.ts';

/** With more of them, two numbers could be one in JavaScript. */
export const digitsMax = 15;

/** Place of the first byte from `at` on that is no space. */
export function afterSpace(body: Uint8Array, at: number): number {
  let next = at;
  for (let byte = body[next]; byte <= space; byte = body[next]) {
    if (byte !== space && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return next;
    next += 1;
  }
  return next;
}

/** @returns where the value at `at` ends, times 8, and its kind; −1: not taken. */
export function scanValue(text: JsonText, at: number, takesAll: boolean): number {
  const { bytes } = text;
  const byte = bytes[at];
  if (byte === quote) {
    const to = textEnd(text, at + 1);
    return to < 0 || to - at - 1 > featureCharsMax ? -1 : ((to + 1) << 3) | textKind;
  }
  if (byte === minus || (byte >= zero && byte <= nine)) return scanNumber(text, at);
  if (!takesAll) return -1;
  if (byte === listBegin) return scanList(text, at);
  if (isWord(bytes, at, 'null')) return ((at + 4) << 3) | nullKind;
  if (isWord(bytes, at, 'true')) return ((at + 4) << 3) | booleanKind;
  if (isWord(bytes, at, 'false')) return ((at + 5) << 3) | booleanKind;
  return -1;
}

function scanNumber(text: JsonText, at: number): number {
  const { bytes } = text;
  const first = bytes[at] === minus ? at + 1 : at;
  const whole = digitsEnd(text, first);
  const digits = whole - first;
  if (digits === 0 || digits > digitsMax || (bytes[first] === zero && digits > 1)) return -1;
  const isPlain = first === at || bytes[first] !== zero;
  let to = whole;
  if (bytes[whole] === point) {
    to = digitsEnd(text, whole + 1);
    if (to === whole + 1) return -1;
  }
  // What has an exponent does not end here, which who asked sees.
  return (to << 3) | (to === whole && isPlain ? wholeKind : numberKind);
}

function scanList(text: JsonText, at: number): number {
  const { bytes } = text;
  let next = afterSpace(bytes, at + 1);
  if (bytes[next] === listEnd) return ((next + 1) << 3) | listKind;
  for (let count = 1; count <= featureValuesMax; count += 1) {
    const told = scanValue(text, next, false);
    if (told < 0) return -1;
    next = afterSpace(bytes, told >>> 3);
    if (bytes[next] === listEnd) return ((next + 1) << 3) | listKind;
    if (bytes[next] !== comma) return -1;
    next = afterSpace(bytes, next + 1);
  }
  return -1;
}

function isWord(body: Uint8Array, at: number, word: string): boolean {
  for (let i = 0; i < word.length; i += 1) if (body[at + i] !== word.charCodeAt(i)) return false;
  return true;
}
