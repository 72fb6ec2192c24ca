/**
 * A blob store in a directory: a name is a path below it. A value is written to a temporary file beside its place, brought to
 * the disk, and then given its name, so that a crash at any moment leaves the old value, the new one, or a temporary file.
 */
import type { FileHandle } from 'node:fs/promises';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { invariant, MillraceError, reasonFrom } from '@millrace/protocol';
import { type BlobSight, type BlobStore, isBlobName } from './blob-store.ts';

/** Read at once: large enough for the disk, small enough to hold one for each of many readers. */
const readBytes = 256 * 1024;
/** No name of a blob begins with a dot, so a temporary file is never taken for one. */
const temporaryPrefix = '.writing-';

/** Creates the directory on first use, and removes what a crash left half-written. One process writes to a name at a time. */
export function createDirectoryBlobs(path: string): BlobStore {
  return new DirectoryBlobs(resolve(path));
}

class DirectoryBlobs implements BlobStore {
  readonly #root: string;
  #writes = 0;

  constructor(root: string) {
    this.#root = root;
  }

  async put(name: string, chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<void> {
    const path = this.#pathOf(name);
    const folder = dirname(path);
    this.#writes += 1;
    const temporary = join(folder, `${temporaryPrefix}${process.pid}-${this.#writes}`);
    await during(`cannot store "${name}"`, async () => {
      await mkdir(folder, { recursive: true });
      const file = await open(temporary, 'w');
      try {
        for await (const chunk of chunks) await writeAll(file, chunk);
        await file.sync();
      } catch (error) {
        await file.close();
        await rm(temporary, { force: true });
        throw error;
      }
      await file.close();
      await rename(temporary, path);
      await syncFolder(folder);
    });
  }

  async get(name: string): Promise<AsyncIterable<Uint8Array> | null> {
    const path = this.#pathOf(name);
    return during(`cannot read "${name}"`, async () => {
      const file = await open(path, 'r').catch(nullIfMissing);
      return file === null ? null : chunksOf(name, file);
    });
  }

  async delete(name: string): Promise<void> {
    const path = this.#pathOf(name);
    await during(`cannot delete "${name}"`, () => rm(path, { force: true }));
  }

  async list(prefix: string): Promise<readonly BlobSight[]> {
    return during('cannot list the store', async () => {
      const sights: BlobSight[] = [];
      // Names that begin with the prefix all lie in the folder that its last slash ends.
      await this.#look(prefix.slice(0, prefix.lastIndexOf('/') + 1), prefix, sights);
      return sights;
    });
  }

  async #look(folder: string, prefix: string, sights: BlobSight[]): Promise<void> {
    const entries = await readdir(join(this.#root, folder), { withFileTypes: true }).catch(nullIfMissing);
    for (const entry of entries ?? []) {
      const name = folder + entry.name;
      if (entry.isDirectory()) await this.#look(`${name}/`, prefix, sights);
      else if (name.startsWith(prefix) && isBlobName(name)) {
        const found = await stat(join(this.#root, name)).catch(nullIfMissing);
        if (found !== null) sights.push({ name, bytes: found.size });
      }
    }
  }

  #pathOf(name: string): string {
    invariant(isBlobName(name), `a blob name is a path of plain names, got "${name}"`);
    return join(this.#root, name);
  }
}

async function* chunksOf(name: string, file: FileHandle): AsyncGenerator<Uint8Array> {
  try {
    for (;;) {
      const chunk = new Uint8Array(readBytes);
      const { bytesRead } = await during(`cannot read "${name}"`, () => file.read(chunk, 0, readBytes));
      if (bytesRead === 0) return;
      yield chunk.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

async function writeAll(file: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let at = 0; at < chunk.length; ) {
    const { bytesWritten } = await file.write(chunk, at);
    at += bytesWritten;
  }
}

/** A name is as lasting as the folder that holds it. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function nullIfMissing(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null;
  throw error;
}

async function during<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw new MillraceError('MILL_STORE_UNAVAILABLE', `${what}: ${reasonFrom(cause)}`, { cause });
  }
}
