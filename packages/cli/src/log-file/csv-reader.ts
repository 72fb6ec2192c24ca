/**
 * CSV (RFC 4180: comma, double quotes, a header line) to records, piece by piece.
 * Most pieces of a log hold no quote at all and are cut at commas and line ends, about four times as fast as a full parse;
 * a piece with a quote goes through csv-parse. Both ways give the same records (tested).
 */
import { CsvError, type Options, parse } from 'csv-parse/sync';
import { fileInvalid, type LogRecord, shownFrom } from './log-record.ts';

/** Turns pieces of whole lines into records, in order. */
export interface RecordReader {
  /** Throws MILL_FILE_INVALID. */
  read(piece: string): LogRecord[];
}

export function createCsvReader(file: string): RecordReader {
  let columns: string[] | undefined;
  let linesBefore = 0;
  return {
    read(piece) {
      const records: LogRecord[] = [];
      const text = linesBefore === 0 && piece.charCodeAt(0) === byteOrderMark ? piece.slice(1) : piece;
      const take = (line: number, cells: string[]): void => {
        if (columns === undefined) columns = columnsFrom(file, line, cells);
        else records.push({ file, line, values: valuesFrom(file, line, columns, cells) });
      };
      if (text.includes('"')) linesBefore = readQuoted(file, text, linesBefore, take);
      else linesBefore = readPlain(text, linesBefore, take);
      return records;
    },
  };
}

const byteOrderMark = 0xfeff;
const carriageReturn = 13;

type Take = (line: number, cells: string[]) => void;

/** Cuts at every line end and comma; empty lines are passed over. Returns the number of the last line. */
function readPlain(text: string, linesBefore: number, take: Take): number {
  let line = linesBefore;
  let start = 0;
  while (start < text.length) {
    const feed = text.indexOf('\n', start);
    const next = feed < 0 ? text.length : feed;
    const end = next > start && text.charCodeAt(next - 1) === carriageReturn ? next - 1 : next;
    line++;
    if (end > start) take(line, text.slice(start, end).split(','));
    start = next + 1;
  }
  return line;
}

/** The same through csv-parse, which knows quotes. */
function readQuoted(file: string, text: string, linesBefore: number, take: Take): number {
  const ends = lineEndsIn(text);
  const lines = text.endsWith('\n') ? ends : ends + 1;
  try {
    const rows = parse(text, quotedOptions);
    if (rows.length === lines) {
      for (let i = 0; i < rows.length; i++) take(linesBefore + i + 1, rows[i]);
    } else {
      // Some row has several lines, or a line is empty: parse again, asking for lines, which takes twice as long.
      const numbered = parse(text, { ...quotedOptions, info: true }) as unknown as NumberedRow[];
      for (const { record, info } of numbered) take(linesBefore + info.lines, record);
    }
  } catch (error) {
    throw error instanceof CsvError ? quoteError(file, linesBefore, error) : error;
  }
  return linesBefore + ends;
}

const quotedOptions: Options = {
  relax_column_count: true,
  skip_empty_lines: true,
  record_delimiter: ['\r\n', '\n'],
};

/** What csv-parse returns with `info`, which its types leave out. */
interface NumberedRow {
  readonly record: string[];
  readonly info: { readonly lines: number };
}

function quoteError(file: string, linesBefore: number, error: CsvError): Error {
  const place = typeof error.lines === 'number' ? { file, line: linesBefore + error.lines } : { file };
  return fileInvalid(place, 'cells quoted as RFC 4180 says', error.code, error);
}

function lineEndsIn(text: string): number {
  let count = 0;
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) count++;
  return count;
}

function columnsFrom(file: string, line: number, cells: string[]): string[] {
  const seen = new Set<string>();
  for (const name of cells) {
    if (name === '') throw fileInvalid({ file, line }, 'a name for every column', 'an empty one');
    if (seen.has(name)) {
      throw fileInvalid({ file, line, column: name }, 'every column once', 'the name a second time');
    }
    seen.add(name);
  }
  return cells;
}

function valuesFrom(file: string, line: number, columns: string[], cells: string[]): Record<string, unknown> {
  if (cells.length !== columns.length) {
    throw fileInvalid(
      { file, line },
      `${columns.length} cells as in the header`,
      `${cells.length}: ${shownFrom(cells.join(','))}`,
    );
  }
  const values: Record<string, unknown> = {};
  for (let i = 0; i < columns.length; i++) values[columns[i]] = cells[i] === '' ? null : cells[i];
  return values;
}
