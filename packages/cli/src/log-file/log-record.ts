/** One record of a log file, and the error that points at it. */
import { MillraceError } from '@millrace/protocol';

export interface LogRecord {
  /** Path as it was given; for messages. */
  readonly file: string;
  /** Line of the file, from 1. A quoted CSV row over several lines is named by its first. */
  readonly line: number;
  /** By column. CSV gives text, or null for an empty cell; JSONL what the JSON says; the other formats lists and numbers. */
  readonly values: Readonly<Record<string, unknown>>;
  /**
   * Pairs of list and column: a feature of that list had a value other than 1, so it stands in that column alone and is lost
   * unless the model names it. The list is '' where the value belongs to the whole record.
   */
  readonly weighted?: readonly string[];
}

/** A row of CSV. Its cells lie in the header's order, so that a reader looks each column up once a file, not once a row. */
export class CsvRecord implements LogRecord {
  readonly file: string;
  readonly line: number;
  readonly columns: readonly string[];
  readonly cells: readonly (string | null)[];

  constructor(file: string, line: number, columns: readonly string[], cells: readonly (string | null)[]) {
    this.file = file;
    this.line = line;
    this.columns = columns;
    this.cells = cells;
  }

  get values(): Readonly<Record<string, unknown>> {
    const values = emptyValues();
    for (let i = 0; i < this.columns.length; i++) setValue(values, this.columns[i], this.cells[i]);
    return values;
  }
}

/** Values by column, to be filled in by `setValue`. An ordinary object: one without a prototype is several times as slow. */
export function emptyValues(): Record<string, unknown> {
  return {};
}

/** Sets a column of any name; plain assignment would take `__proto__` for something else. */
export function setValue(values: Record<string, unknown>, column: string, value: unknown): void {
  if (column !== '__proto__') values[column] = value;
  else Object.defineProperty(values, column, { value, enumerable: true, configurable: true, writable: true });
}

/** What a message needs to point at a place in a log file. */
export interface LogPlace {
  readonly file: string;
  readonly line?: number;
  readonly column?: string;
}

/**
 * MILL_FILE_INVALID that names file, line and column, what was wanted and what was found:
 *   cannot read "log.csv", line 7, column "label": wanted 0 or 1, found "yes"
 */
export function fileInvalid(place: LogPlace, wanted: string, found: string, cause?: unknown): MillraceError {
  const line = place.line === undefined ? '' : `, line ${place.line}`;
  const column = place.column === undefined ? '' : `, column "${place.column}"`;
  return new MillraceError(
    'MILL_FILE_INVALID',
    `cannot read "${place.file}"${line}${column}: wanted ${wanted}, found ${found}`,
    { details: { ...place }, cause },
  );
}

/** What was found, in words, where it is no value that a message could show. */
export class Phrase {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** A value as a message shows it: JSON, cut to a length that a terminal takes; a phrase as it is. */
export function shownFrom(value: unknown): string {
  if (value instanceof Phrase) return value.text;
  const text = value === undefined ? 'nothing' : jsonFrom(value);
  return text.length <= 80 ? text : `${text.slice(0, 77)}…`;
}

function jsonFrom(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 80));
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    // Lists in lists, thousands deep, parse but cannot be written.
    return 'a value that cannot be shown';
  }
}
