/** JSON Lines (one object a line, UTF-8) to records, piece by piece. */
import { reasonFrom } from '@millrace/protocol';
import type { RecordReader } from './csv-reader.ts';
import { fileInvalid, type LogRecord, shownFrom } from './log-record.ts';

export function createJsonlReader(file: string): RecordReader {
  let line = 0;
  return {
    read(piece) {
      const records: LogRecord[] = [];
      let start = 0;
      while (start < piece.length) {
        const feed = piece.indexOf('\n', start);
        const next = feed < 0 ? piece.length : feed;
        line++;
        const text = piece.slice(start, next);
        // Blank lines are passed over, as a last line often is.
        if (text.trim() !== '') records.push({ file, line, values: valuesFrom(file, line, text) });
        start = next + 1;
      }
      return records;
    },
  };
}

function valuesFrom(file: string, line: number, text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw fileInvalid({ file, line }, 'one JSON object', `${shownFrom(text)} (${reasonFrom(error)})`, error);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw fileInvalid({ file, line }, 'one JSON object', shownFrom(value));
  }
  return value as Record<string, unknown>;
}
