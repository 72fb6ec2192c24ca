/**
 * Streams a log file, plain or gzip: bytes → texts of whole lines → records.
 * Memory holds one chunk of the file and the records cut from it, however long the file is.
 */
import { createReadStream, type ReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline, type Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { MillraceError, reasonFrom } from '@millrace/protocol';
import type { NumericColumns } from './feature-lists.ts';
import { createLineCutter } from './line-cutter.ts';
import { createRecordReader, formatFromPath, type LogFormat } from './log-format.ts';
import { fileInvalid, type LogRecord } from './log-record.ts';
import { createLogTally, type LogTally } from './log-tally.ts';

export interface LogFileOptions {
  /** Default: by the name's ending, see docs/log-files.md. */
  readonly format?: LogFormat | undefined;
  /** Told of records that are skipped. Default: a strict one, so that the first such record ends the reading. */
  readonly tally?: LogTally;
  /** Columns `list^feature` that are read; the others are not made. Default all. */
  readonly numericColumns?: NumericColumns;
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

/**
 * Bytes of one read. Some hundred records are cut from it and are gone before the next: with 256 KiB, thousands would be copied
 * by the collector again and again, and reading took five times as long.
 */
const chunkBytes = 32 * 1024;

/**
 * Opens a log file. Reading throws MILL_FILE_INVALID for damaged gzip, a CSV header that is none, or no record at all; and,
 * with a strict tally, for the first record that cannot be read.
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
    const tally = options.tally ?? createLogTally(path, 'strict');
    const cutter = createLineCutter();
    const reader = createRecordReader(format, path, tally, options.numericColumns ?? 'all');
    let hasRecords = false;
    try {
      for await (const bytes of bytesOf(file, path)) {
        bytesRead = file.bytesRead;
        const batch = reader.read(cutter.push(bytes));
        hasRecords ||= batch.length > 0;
        if (batch.length > 0) yield batch;
      }
      bytesRead = file.bytesRead;
      for (const last of [reader.read(cutter.finish()), reader.finish()]) {
        hasRecords ||= last.length > 0;
        if (last.length > 0) yield last;
      }
      if (!hasRecords) throw noRecord(path, tally);
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

/** The error for a log of which nothing is left, naming what was wrong with it. */
export function noRecord(path: string, tally: LogTally): MillraceError {
  const { skipped, skippedTotal } = tally.report();
  const reasons = Object.values(skipped).map(
    ({ count, lines, first }) => `${count} × line ${lines[0]}, ${first}`,
  );
  const found = skippedTotal === 0 ? 'none' : `none, ${skippedTotal} skipped: ${reasons.join('; ')}`;
  return fileInvalid({ file: path }, 'at least one record', found);
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

async function* bytesOf(file: ReadStream, path: string): AsyncGenerator<Uint8Array> {
  // The iteration below reports the same error, so the pipeline's own callback has nothing left to do.
  const bytes: Readable = path.toLowerCase().endsWith('.gz')
    ? pipeline(file, createGunzip({ chunkSize: chunkBytes }), () => undefined)
    : file;
  try {
    for await (const chunk of bytes) yield chunk as Uint8Array;
  } catch (error) {
    if (error instanceof MillraceError) throw error;
    throw fileInvalid({ file: path }, 'a readable file', reasonFrom(error), error);
  }
}
