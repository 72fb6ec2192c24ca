/** Reads the files of imported nets, each of which a model file names. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MillraceError, reasonFrom } from '@millrace/protocol';

/** @param directory null: there is none, and reading says so. */
export function createNetReader(directory: string | null): (file: string) => Promise<Uint8Array> {
  return async (file) => {
    if (directory === null) {
      const message = `imported net "${file}": wanted it in the directory that MILL_NETS_DIR names, found none named`;
      throw new MillraceError('MILL_FILE_INVALID', message);
    }
    return await readFile(join(directory, file)).catch((error: unknown) => {
      const message = `imported net "${file}": wanted it in MILL_NETS_DIR of this node: ${reasonFrom(error)}`;
      throw new MillraceError('MILL_FILE_INVALID', message, { cause: error });
    });
  };
}
