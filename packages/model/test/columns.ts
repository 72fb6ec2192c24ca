/** Items as a request has them in its text. */
import {
  booleanKind,
  columnsMax,
  entryWords,
  ItemColumns,
  listKind,
  packed,
  textKind,
  wholeKind,
} from '../src/item-columns.ts';

type Value = string | number | boolean | readonly string[];

const kinds = { string: textKind, number: wholeKind, boolean: booleanKind, object: listKind } as const;

/** @param items  values of texts without escapes, and of whole numbers from 0 on. */
export function columnsOf(items: readonly Readonly<Record<string, Value>>[]): ItemColumns {
  const names = [...new Set(items.flatMap((item) => Object.keys(item)))].slice(0, columnsMax);
  const pieces: string[] = [];
  let bytes = 0;
  const write = (text: string) => {
    pieces.push(text);
    bytes += Buffer.byteLength(text);
  };
  const entries: number[] = [];
  const starts: number[] = [];
  const begins: number[] = [];
  write('[');
  for (const [i, item] of items.entries()) {
    if (i > 0) write(',');
    starts.push(entries.length / entryWords);
    begins.push(bytes);
    write('{');
    for (const [n, [name, value]] of Object.entries(item).entries()) {
      write(`${n > 0 ? ',' : ''}${JSON.stringify(name)}:${typeof value === 'string' ? '"' : ''}`);
      const text = typeof value === 'string' ? value : JSON.stringify(value);
      const kind = kinds[typeof value as keyof typeof kinds];
      entries.push(bytes, packed(Buffer.byteLength(text), names.indexOf(name), kind));
      write(`${text}${typeof value === 'string' ? '"' : ''}`);
    }
    write('}');
  }
  write(']');
  starts.push(entries.length / entryWords);
  const text = Buffer.from(pieces.join(''));
  return new ItemColumns(
    text,
    0,
    text.length,
    names,
    Int32Array.from(entries),
    Int32Array.from(starts),
    Int32Array.from(begins),
  );
}
