/** One row of a log file, and the error that points at it. */
import { MillraceError } from '@millrace/protocol';

export interface LogRecord {
  /** Path as it was given; for messages. */
  readonly file: string;
  /** Line of the file, from 1. A quoted CSV row over several lines is named by its last. */
  readonly line: number;
  /** By column. CSV gives text, or null for an empty cell; JSONL gives what the JSON says. */
  readonly values: Readonly<Record<string, unknown>>;
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

/** A value as a message shows it: JSON, cut to a length that a terminal takes. */
export function shownFrom(value: unknown): string {
  const text = value === undefined ? 'nothing' : (JSON.stringify(value) ?? String(value));
  return text.length <= 80 ? text : `${text.slice(0, 77)}…`;
}
