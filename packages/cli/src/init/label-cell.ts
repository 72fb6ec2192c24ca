/** The outcome of a record, and which column most likely holds it. */
import { fileInvalid, type LogRecord } from '../log-file/index.ts';

/**
 * 0 or 1, as number, boolean or text.
 * @throws MILL_FILE_INVALID naming line and column.
 */
export function labelFromCell(record: LogRecord, column: string): 0 | 1 {
  const place = { file: record.file, line: record.line, column };
  if (!Object.hasOwn(record.values, column)) {
    const there = Object.keys(record.values).slice(0, 30).join(', ');
    throw fileInvalid(place, 'that column, which is to hold the label (--label names another)', `only ${there}`);
  }
  const value = record.values[column];
  if (value === 1 || value === true || value === '1' || value === 'true') return 1;
  if (value === 0 || value === false || value === '0' || value === 'false') return 0;
  const shown = JSON.stringify(value) ?? 'nothing';
  throw fileInvalid(place, 'a label of 0 or 1', shown.length > 80 ? `${shown.slice(0, 77)}…` : shown);
}

/** Names that mean the outcome, the likeliest first. */
const labelNames = ['label', 'click', 'clicked', 'is_click', 'is_clicked', 'target', 'outcome', 'converted', 'conversion', 'y'];
const timeNames = ['timestamp', 'time', 'ts', 'datetime', 'event_time', 'date', 'created_at'];

/** The column of that meaning among `columns`, whatever its case; null when none has such a name. */
export function guessLabel(columns: readonly string[]): string | null {
  return guess(columns, labelNames);
}

/** The column that has a name for time; null when none has. */
export function guessTimestamp(columns: readonly string[]): string | null {
  return guess(columns, timeNames);
}

function guess(columns: readonly string[], names: readonly string[]): string | null {
  for (const name of names) {
    const found = columns.find((column) => column.toLowerCase() === name);
    if (found !== undefined) return found;
  }
  return null;
}
