/**
 * CSV (RFC 4180: comma, double quotes, a header line) to records. Rows are cut in csv-row.ts.
 *
 * A quote that somebody forgot would swallow everything up to the next one. So of a row that is broken, or that has several
 * lines and not as many cells as the header, only the first line is skipped, and reading goes on at the next: one stray quote
 * costs one line or two, wherever the stream is cut into pieces.
 */
import { cutRow, type Row, rowAfterLine } from './csv-row.ts';
import { CsvRecord, fileInvalid, Phrase, shownFrom } from './log-record.ts';
import type { LogTally } from './log-tally.ts';
import { type RecordReader, skipLost } from './record-reader.ts';

export function createCsvReader(file: string, tally: LogTally): RecordReader {
  let columns: readonly string[] | undefined;
  let linesBefore = 0;
  let carried = '';

  /** Whether the row is whole; counts it where it is not. */
  const isWhole = (row: Row, text: string, start: number): boolean => {
    const line = linesBefore + 1;
    if (row.broken !== undefined) {
      if (columns === undefined) throw fileInvalid({ file, line }, 'a header of column names', row.broken);
      if (!skipLost(tally, text.charCodeAt(start), line))
        tally.skip('quotes', { line }, `cells quoted as RFC 4180 says (${row.broken})`, lineAt(text, start));
      return false;
    }
    if (columns === undefined || row.cells.length === columns.length) return true;
    tally.skip(
      'ragged',
      { line },
      `${columns.length} cells as in the header`,
      new Phrase(`${row.cells.length}: ${shownFrom(lineAt(text, start))}`),
    );
    return false;
  };

  const read = (text: string, place: 'within' | 'last'): CsvRecord[] => {
    const records: CsvRecord[] = [];
    let start = 0;
    while (start < text.length) {
      const row = cutRow(text, start, place);
      if (row === 'incomplete') break;
      if (row.cells.length > 0 || row.broken !== undefined) {
        if (!isWhole(row, text, start)) {
          start = rowAfterLine(text, start);
          linesBefore += 1;
          continue;
        }
        const line = linesBefore + 1;
        if (columns === undefined) columns = columnsFrom(file, line, row.cells);
        else records.push(new CsvRecord(file, line, columns, row.cells));
      }
      start = row.end;
      linesBefore += row.lines;
    }
    carried = text.slice(start);
    return records;
  };

  return {
    read: (piece) => read(carried === '' ? piece : carried + piece, 'within'),
    finish: () => read(carried, 'last'),
  };
}

function lineAt(text: string, start: number): string {
  return text.slice(start, rowAfterLine(text, start)).trimEnd();
}

function columnsFrom(file: string, line: number, cells: readonly (string | null)[]): string[] {
  const seen = new Set<string>();
  for (const name of cells) {
    if (name === null) throw fileInvalid({ file, line }, 'a name for every column', 'an empty one');
    if (seen.has(name)) {
      throw fileInvalid({ file, line, column: name }, 'every column once', 'the name a second time');
    }
    seen.add(name);
  }
  return [...seen];
}
