/** JSON Lines (one object a line) to records. */
import { reasonFrom } from '@millrace/protocol';
import type { LogRecord } from './log-record.ts';
import type { LogTally } from './log-tally.ts';
import { createLineReader, type RecordReader } from './record-reader.ts';

export function createJsonlReader(file: string, tally: LogTally): RecordReader {
  const parse = (text: string, line: number): LogRecord | null => {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      tally.skip('syntax', { line }, `one JSON object (${reasonFrom(error).slice(0, 120)})`, text);
      return null;
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      tally.skip('syntax', { line }, 'one JSON object', value);
      return null;
    }
    return { file, line, values: value as Record<string, unknown> };
  };
  return createLineReader(tally, parse);
}
