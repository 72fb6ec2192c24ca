/**
 * Streams a log file, CSV or JSONL, plain or gzip: bytes → text → pieces of whole records → records.
 * Memory holds one chunk of the file and the records cut from it, however long the file is.
 */
import { createReadStream, type ReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline, type Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { MillraceError, reasonFrom } from '@millrace/protocol';
import { createCsvReader, type RecordReader } from './csv-reader.ts';
import { createJsonlReader } from './jsonl-reader.ts';
import { createLineCutter, type LineCutter, recordCharsMax } from './line-cutter.ts';
import { fileInvalid, type LogRecord } from './log-record.ts';

export type LogFormat = 'csv' | 'jsonl';

export interface LogFileOptions {
  /** Default: by the name's ending: .csv, .jsonl or .ndjson, each also with .gz. */
  readonly format?: LogFormat;
}

/** An open log. Iterating it, or its batches, reads the file from the start; one reading at a time. */
export interface LogFile extends AsyncIterable<LogRecord> {
  readonly path: string;
  readonly format: LogFormat;
  /** Size of the file as it lies on disk (compressed, if it is). */
  readonly bytesTotal: number;
  /** Bytes of it read so far; runs ahead of the records by a chunk or two, and ends equal to `bytesTotal`. */
  readonly bytesRead: number;
  /** Records in the order of the file, some thousand at a time. Throws MILL_FILE_INVALID. */
  batches(): AsyncIterable<readonly LogRecord[]>;
  /** Ends the reading under way, if any. */
  close(): void;
}

/** Bytes of one read: large enough that a chunk's fixed costs vanish, small enough that progress moves. */
const chunkBytes = 256 * 1024;

/**
 * Opens a log file. Reading throws MILL_FILE_INVALID naming file, line, wanted and found for a ragged line, a line that is no
 * JSON object, damaged gzip, or no record at all.
 * @throws MILL_FILE_INVALID when it is missing, not a file, empty, or of an unknown format.
 */
export async function openLogFile(path: string, options: LogFileOptions = {}): Promise<LogFile> {
  const format = options.format ?? formatFromPath(path);
  const bytesTotal = await sizeOf(path);
  let source: ReadStream | undefined;
  let bytesRead = 0;

  async function* batches(): AsyncGenerator<readonly LogRecord[]> {
    const file = createReadStream(path, { highWaterMark: chunkBytes });
    source = file;
    const cutter = createLineCutter(format === 'csv' ? 'quotes' : 'no-quotes');
    const reader = format === 'csv' ? createCsvReader(path) : createJsonlReader(path);
    let records = 0;
    try {
      for await (const text of textOf(file, path)) {
        bytesRead = file.bytesRead;
        const batch = readerBatch(path, reader, cutter, text);
        records += batch.length;
        if (batch.length > 0) yield batch;
      }
      const last = reader.read(cutter.finish());
      records += last.length;
      bytesRead = file.bytesRead;
      if (records === 0) throw fileInvalid({ file: path }, 'at least one record', 'none');
      if (last.length > 0) yield last;
    } finally {
      file.destroy();
    }
  }

  async function* records(): AsyncGenerator<LogRecord> {
    for await (const batch of batches()) yield* batch;
  }

  return {
    path,
    format,
    bytesTotal,
    get bytesRead() {
      return bytesRead;
    },
    batches,
    [Symbol.asyncIterator]: records,
    close: () => void source?.destroy(),
  };
}

function formatFromPath(path: string): LogFormat {
  const name = path.toLowerCase().replace(/\.gz$/, '');
  if (name.endsWith('.csv')) return 'csv';
  if (name.endsWith('.jsonl') || name.endsWith('.ndjson')) return 'jsonl';
  throw fileInvalid(
    { file: path },
    'a name that ends in .csv, .jsonl or .ndjson (each also .gz), or the format said',
    'another ending',
  );
}

async function sizeOf(path: string): Promise<number> {
  let found: Awaited<ReturnType<typeof stat>>;
  try {
    found = await stat(path);
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw fileInvalid({ file: path }, 'a readable file', missing ? 'none' : reasonFrom(error), error);
  }
  if (!found.isFile()) throw fileInvalid({ file: path }, 'a file', 'a folder or device');
  if (found.size === 0) throw fileInvalid({ file: path }, 'at least one record', 'an empty file');
  return found.size;
}

async function* textOf(file: ReadStream, path: string): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  // The iteration below reports the same error, so the pipeline's own callback has nothing left to do.
  const bytes: Readable = path.toLowerCase().endsWith('.gz')
    ? pipeline(file, createGunzip({ chunkSize: chunkBytes }), () => undefined)
    : file;
  try {
    for await (const chunk of bytes) yield decoder.decode(chunk as Uint8Array, { stream: true });
  } catch (error) {
    if (error instanceof MillraceError) throw error;
    throw fileInvalid({ file: path }, 'a readable file', reasonFrom(error), error);
  }
  yield decoder.decode();
}

function readerBatch(path: string, reader: RecordReader, cutter: LineCutter, text: string): LogRecord[] {
  const batch = reader.read(cutter.push(text));
  if (cutter.held > recordCharsMax) {
    throw fileInvalid(
      { file: path },
      `records of at most ${recordCharsMax} characters`,
      'a longer one (is a quote left open?)',
    );
  }
  return batch;
}
