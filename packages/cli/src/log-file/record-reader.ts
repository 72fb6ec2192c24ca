/** What all formats have in common: text in, records out, lines that cannot be read counted. */
import { lineBytesMax, lostLine } from './line-cutter.ts';
import { type LogRecord, Phrase } from './log-record.ts';
import type { LogTally } from './log-tally.ts';

/** Turns texts of whole lines into records, in order. What it cannot read goes to its tally. */
export interface RecordReader {
  /** Throws MILL_FILE_INVALID: from a strict tally, or for what spoils the whole file, such as a header without names. */
  read(text: string): LogRecord[];
  /** Returns the records that were waiting for more. */
  finish(): LogRecord[];
}

/** Reads one line, numbered from 1; null when it holds no record, which is then a blank line or already counted. */
export type LineParser = (line: string, number: number) => LogRecord | null;

/** A reader of a format where each line is a record. Blank lines are passed over, as a last line often is. */
export function createLineReader(tally: LogTally, parse: LineParser): RecordReader {
  let number = 0;
  return {
    read(text) {
      const records: LogRecord[] = [];
      let start = 0;
      while (start < text.length) {
        const feed = text.indexOf('\n', start);
        const next = feed < 0 ? text.length : feed;
        number += 1;
        if (next > start && !skipLost(tally, text.charCodeAt(start), number)) {
          const line = text.slice(start, next).trim();
          const record = line === '' ? null : parse(line, number);
          if (record !== null) records.push(record);
        }
        start = next + 1;
      }
      return records;
    },
    finish: () => [],
  };
}

/** Counts a line that the cutter could not hand over, told by its first character code; false for any other line. */
export function skipLost(tally: LogTally, firstCode: number, line: number): boolean {
  const lost = lostLine(firstCode);
  if (lost === undefined) return false;
  if (lost === 'encoding') tally.skip(lost, { line }, 'UTF-8 text', new Phrase('other bytes'));
  else tally.skip(lost, { line }, `lines of at most ${lineBytesMax} bytes`, new Phrase('a longer one'));
  return true;
}
