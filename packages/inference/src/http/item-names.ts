/**
 * Names of features as they lie in JSON, and the columns that they have (model, item-columns.ts). They are kept from one request to
 * the next: nearly all of these have the same ones, and whoever works with columns finds the same list and need not look them up anew.
 */
import { columnsMax } from '@millrace/model';
import { isSame, type JsonText, jsonText } from './json-words.ts';

/** There is no column left for a name, or no room, or it is one that objects have already, or take for something else. */
export const noColumn = -1;

const strangeNames = new Set(['__proto__', 'constructor']);
const bytesMax = 32 * 1_024;

/** By column. Never written to: requests hold on to it. */
let names: readonly string[] = [];
/** The names, one behind the other; by column where one begins, and its length. */
const known = jsonText(Buffer.alloc(bytesMax));
let used = 0;
const nameAt = new Int32Array(columnsMax);
const nameLength = new Int32Array(columnsMax);

export function columnNames(): readonly string[] {
  return names;
}

export function forgetNames(): void {
  names = [];
  used = 0;
}

/**
 * Column of the name at [from, to), a new one where it is new.
 * @param foreseen  looked at first.
 */
export function columnOf(text: JsonText, from: number, to: number, foreseen: number): number {
  if (isNamed(text, from, to, foreseen)) return foreseen;
  for (let column = 0; column < names.length; column += 1) if (isNamed(text, from, to, column)) return column;
  return add(text, from, to);
}

function isNamed(text: JsonText, from: number, to: number, column: number): boolean {
  return (
    column < names.length &&
    nameLength[column] === to - from &&
    isSame(text, from, known, nameAt[column], to - from)
  );
}

function add({ bytes }: JsonText, from: number, to: number): number {
  const name = bytes.toString('utf8', from, to);
  if (names.length === columnsMax || used + to - from > bytesMax || strangeNames.has(name)) return noColumn;
  const column = names.length;
  bytes.copy(known.bytes, used, from, to);
  nameAt[column] = used;
  nameLength[column] = to - from;
  used += to - from;
  names = [...names, name];
  return column;
}
