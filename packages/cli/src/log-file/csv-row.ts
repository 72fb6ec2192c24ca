/**
 * One row of CSV, cut from a text of whole lines. A line without quotes is cut at its commas in one pass, which is most of what
 * reading a log costs; from a quote on, cells are read as RFC 4180 says and may go on over line ends.
 *
 * A row is broken when
 *   - a quote stands within an unquoted cell, or text behind a closing quote,
 *   - a quoted cell is not closed within `rowLinesMax` lines and `rowCharsMax` characters of the row's begin, by the end of
 *     the file, or before a line that cannot be decoded,
 *   - its first line could not be decoded.
 */
import { lostLine } from './line-cutter.ts';

/** Lines of one row. A forgotten quote makes the reader look this far ahead. */
export const rowLinesMax = 1_000;
/** Characters of one row behind its first quote: what the reader holds back at most while it waits for the closing one. */
export const rowCharsMax = 1024 * 1024;

export interface Row {
  /** Empty cells are null. A blank line has none. */
  readonly cells: readonly (string | null)[];
  /** Place behind the row's last line feed, or the text's end. */
  readonly end: number;
  /** Lines that the row has. */
  readonly lines: number;
  /** Why it is no row; the other parts mean nothing then. */
  readonly broken?: string;
}

/**
 * @param place  `within`: more text may follow, so a quoted cell that the text does not close is `incomplete`; `last`: none does.
 */
export function cutRow(text: string, start: number, place: 'within' | 'last'): Row | 'incomplete' {
  if (lostLine(text.charCodeAt(start)) !== undefined) return brokenRow('a line that cannot be decoded');
  const cells: (string | null)[] = [];
  let from = start;
  for (let at = start; ; at++) {
    const code = at < text.length ? text.charCodeAt(at) : lineFeed;
    // Digits and letters first: nearly all there is.
    if (code > comma) continue;
    if (code === comma) {
      cells.push(at === from ? null : text.slice(from, at));
      from = at + 1;
    } else if (code === lineFeed) {
      const end = at > from && text.charCodeAt(at - 1) === carriageReturn ? at - 1 : at;
      if (from !== start || end > from) cells.push(end === from ? null : text.slice(from, end));
      return { cells, end: Math.min(at + 1, text.length), lines: 1 };
    } else if (code === quote) {
      if (at !== from) return brokenRow('a quote within an unquoted cell');
      return cutQuotedRow(text, start, from, cells, place);
    }
  }
}

/** Place behind the line feed that ends the line at `start`, or the text's end. */
export function rowAfterLine(text: string, start: number): number {
  const feed = text.indexOf('\n', start);
  return feed < 0 ? text.length : feed + 1;
}

/** The rest of a row from its first quoted cell, at `from`, on. */
function cutQuotedRow(
  text: string,
  start: number,
  from: number,
  cells: (string | null)[],
  place: 'within' | 'last',
): Row | 'incomplete' {
  let lines = 1;
  let at = from;
  for (;;) {
    if (text.charCodeAt(at) === quote) {
      const cell = quotedCell(text, at, { end: start + rowCharsMax, lines: rowLinesMax - lines });
      if (cell === 'open') return place === 'last' ? brokenRow('a quote that is not closed') : 'incomplete';
      if (cell === 'too far') return brokenRow('a quote that is not closed near by');
      cells.push(cell.value === '' ? null : cell.value);
      lines += cell.feeds;
      at = cell.end;
    } else {
      const end = plainCellEnd(text, at);
      if (text.charCodeAt(end) === quote) return brokenRow('a quote within an unquoted cell');
      cells.push(end === at ? null : text.slice(at, end));
      at = end;
    }
    if (text.charCodeAt(at) === comma) {
      at += 1;
      continue;
    }
    if (text.charCodeAt(at) === carriageReturn) at += 1;
    if (at >= text.length) return { cells, end: text.length, lines };
    if (text.charCodeAt(at) !== lineFeed) return brokenRow('text behind a closing quote');
    return { cells, end: at + 1, lines };
  }
}

interface QuotedCell {
  readonly value: string;
  /** Place behind the closing quote. */
  readonly end: number;
  /** Line feeds within it. */
  readonly feeds: number;
}

/** @param at  place of the opening quote. */
function quotedCell(
  text: string,
  at: number,
  bound: { readonly end: number; readonly lines: number },
): QuotedCell | 'open' | 'too far' {
  let value = '';
  let feeds = 0;
  let from = at + 1;
  for (let i = from; ; i++) {
    if (i >= bound.end || feeds > bound.lines) return 'too far';
    if (i >= text.length) return 'open';
    const code = text.charCodeAt(i);
    if (code === quote) {
      if (text.charCodeAt(i + 1) !== quote) return { value: value + text.slice(from, i), end: i + 1, feeds };
      value += text.slice(from, i + 1);
      i += 1;
      from = i + 1;
    } else if (code === lineFeed) {
      feeds += 1;
      if (i + 1 < text.length && lostLine(text.charCodeAt(i + 1)) !== undefined) return 'too far';
    }
  }
}

/** Place of the comma, line end or quote that ends an unquoted cell. */
function plainCellEnd(text: string, at: number): number {
  for (let i = at; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === comma || code === lineFeed || code === quote) return i;
    if (code === carriageReturn && (i + 1 >= text.length || text.charCodeAt(i + 1) === lineFeed)) return i;
  }
  return text.length;
}

function brokenRow(why: string): Row {
  return { cells: [], end: 0, lines: 0, broken: why };
}

const lineFeed = 10;
const carriageReturn = 13;
const quote = 34;
const comma = 44;
