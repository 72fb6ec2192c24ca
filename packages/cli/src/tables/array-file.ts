/** Arrays that lie in files: read in stretches, written behind one another. Memory holds a stretch, however long they are. */
import { createReadStream, createWriteStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { MillraceError } from '@millrace/protocol';

/** A matrix in a file, C order. */
export interface FileMatrix {
  readonly path: string;
  readonly type: 'u64' | 'f32' | 'f64';
  readonly rows: number;
  /** Numbers of a row. */
  readonly width: number;
  /** Where its numbers begin. */
  readonly at: number;
}

/** Rows from … to − 1 of a matrix of floats; float64 is rounded to float32. @throws MILL_FILE_INVALID when the file is too short. */
export async function readFloats(
  handle: FileHandle,
  matrix: FileMatrix,
  from: number,
  to: number,
): Promise<Float32Array> {
  const bytes = await readRows(handle, matrix, from, to);
  return matrix.type === 'f64'
    ? Float32Array.from(new Float64Array(bytes.buffer))
    : new Float32Array(bytes.buffer);
}

/** Rows from … to − 1 of a matrix of uint64, as low and high words. */
export async function readWords(
  handle: FileHandle,
  matrix: FileMatrix,
  from: number,
  to: number,
): Promise<Uint32Array> {
  return new Uint32Array((await readRows(handle, matrix, from, to)).buffer);
}

async function readRows(
  handle: FileHandle,
  { path, type, width, at }: FileMatrix,
  from: number,
  to: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const rowBytes = width * (type === 'f32' ? 4 : 8);
  const bytes = new Uint8Array(rowBytes * (to - from));
  let filled = 0;
  while (filled < bytes.length) {
    const position = at + from * rowBytes + filled;
    const { bytesRead } = await handle.read(bytes, filled, bytes.length - filled, position);
    if (bytesRead === 0) {
      const wanted = at + to * rowBytes;
      throw new MillraceError(
        'MILL_FILE_INVALID',
        `cannot read "${path}": wanted ${wanted} bytes at least, found ${position}: it is cut short`,
      );
    }
    filled += bytesRead;
  }
  return bytes;
}

/** The first bytes of a file, fewer where it is shorter, and its length. */
export async function startOfFile(
  path: string,
  length: number,
): Promise<{ readonly start: Uint8Array; readonly fileBytes: number }> {
  const handle = await open(path, 'r');
  try {
    const { size } = await handle.stat();
    const start = new Uint8Array(Math.min(length, size));
    let filled = 0;
    while (filled < start.length) {
      const { bytesRead } = await handle.read(start, filled, start.length - filled, filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return { start: start.subarray(0, filled), fileBytes: size };
  } finally {
    await handle.close();
  }
}

/** Writes a header, then the contents of files, one behind the other. */
export async function joinFiles(path: string, header: Uint8Array, parts: readonly string[]): Promise<void> {
  await pipeline(
    Readable.from(
      (async function* () {
        yield header;
        for (const part of parts) yield* createReadStream(part);
      })(),
    ),
    createWriteStream(path),
  );
}
