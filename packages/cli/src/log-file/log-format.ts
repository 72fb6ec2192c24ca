/** The formats of log files: their names, the endings that tell them, and their readers. */
import { createCsvReader } from './csv-reader.ts';
import type { NumericColumns } from './feature-lists.ts';
import { createJsonlReader } from './jsonl-reader.ts';
import { createLibsvmReader } from './libsvm-reader.ts';
import { fileInvalid } from './log-record.ts';
import type { LogTally } from './log-tally.ts';
import type { RecordReader } from './record-reader.ts';
import { createVowpalReader } from './vowpal-reader.ts';

export const logFormats = ['csv', 'jsonl', 'vw', 'libsvm', 'libfm', 'ffm'] as const;
export type LogFormat = (typeof logFormats)[number];

const endings: Readonly<Record<string, LogFormat>> = {
  '.csv': 'csv',
  '.jsonl': 'jsonl',
  '.ndjson': 'jsonl',
  '.vw': 'vw',
  '.libsvm': 'libsvm',
  '.svm': 'libsvm',
  '.svmlight': 'libsvm',
  '.libfm': 'libfm',
  '.ffm': 'ffm',
};

/** @throws MILL_FILE_INVALID when the name's ending is none of those known. */
export function formatFromPath(path: string): LogFormat {
  const name = path.toLowerCase().replace(/\.gz$/, '');
  for (const [ending, format] of Object.entries(endings)) if (name.endsWith(ending)) return format;
  throw fileInvalid(
    { file: path },
    `a name that ends in ${Object.keys(endings).join(', ')} (each also with .gz), or the format said`,
    'another ending',
  );
}

export function createRecordReader(
  format: LogFormat,
  file: string,
  tally: LogTally,
  columns: NumericColumns,
): RecordReader {
  switch (format) {
    case 'csv':
      return createCsvReader(file, tally);
    case 'jsonl':
      return createJsonlReader(file, tally);
    case 'vw':
      return createVowpalReader(file, tally, columns);
    case 'libsvm':
    case 'libfm':
      return createLibsvmReader(file, tally, columns, 'index');
    case 'ffm':
      return createLibsvmReader(file, tally, columns, 'field');
  }
}
