/** What tells one data file from another. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import { reasonFrom } from '@millrace/protocol';
import { fileInvalid } from '../log-file/index.ts';

export interface FileIdentity {
  /** Without its folder. */
  readonly file: string;
  readonly bytes: number;
  /** Hex. */
  readonly sha256: string;
}

/** @throws MILL_FILE_INVALID when it cannot be read. */
export async function fileIdentity(path: string): Promise<FileIdentity> {
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) {
      hash.update(chunk as Uint8Array);
      bytes += (chunk as Uint8Array).length;
    }
  } catch (error) {
    throw fileInvalid({ file: path }, 'a readable file', reasonFrom(error), error);
  }
  return { file: basename(path), bytes, sha256: hash.digest('hex') };
}
