/**
 * A blob store in a directory: a name is a path below it. A value is written to a temporary file beside its place, brought to
 * the disk, and then given its name, so that a crash at any moment leaves the old value, the new one, or a temporary file.
 */
import type { FileHandle } from 'node:fs/promises';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { invariant, MillraceError, reasonFrom } from '@millrace/protocol';
import { type BlobSight, type BlobStore, isBlobName } from './blob-store.ts';

/** Read at once: large enough for the disk, small enough to hold one for each of many readers. */
const readBytes = 256 * 1024;
/** No name of a blob begins with a dot, so a temporary file is never taken for one. */
const temporaryPrefix = '.writing-';

/** Temporary files that this process is writing. */
const beingWritten = new Set<string>();
let writes = 0;

/**
 * A store in the directory `path`, which is made where it is missing. Its first use removes what writers that died left
 * behind. Several processes may use one directory.
 */
export function createDirectoryBlobs(path: string): BlobStore {
  return new DirectoryBlobs(resolve(path));
}

class DirectoryBlobs implements BlobStore {
  readonly #root: string;
  #swept: Promise<void> | null = null;

  constructor(root: string) {
    this.#root = root;
  }

  async put(name: string, chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<void> {
    const path = this.#pathOf(name);
    const folder = dirname(path);
    await during(`cannot store "${name}"`, async () => {
      await this.#sweepOnce();
      await makeFolder(folder);
      const temporary = join(folder, temporaryName());
      beingWritten.add(temporary);
      try {
        await writeFile(temporary, chunks);
        await rename(temporary, path);
      } catch (error) {
        await rm(temporary, { force: true }).catch(() => undefined);
        throw error;
      } finally {
        beingWritten.delete(temporary);
      }
      await syncFolder(folder);
    });
  }

  async get(name: string): Promise<AsyncIterable<Uint8Array> | null> {
    const path = this.#pathOf(name);
    const found = await during(`cannot read "${name}"`, () => stat(path).catch(nullIfMissing));
    return found?.isFile() ? chunksOf(name, path) : null;
  }

  async delete(name: string): Promise<void> {
    const path = this.#pathOf(name);
    await during(`cannot delete "${name}"`, () => rm(path, { force: true }));
  }

  async list(prefix: string): Promise<readonly BlobSight[]> {
    return during('cannot list the store', async () => {
      await this.#sweepOnce();
      const sights: BlobSight[] = [];
      // Names that begin with the prefix all lie in the folder that its last slash ends.
      const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
      for await (const name of this.#filesUnder(folder)) {
        if (!name.startsWith(prefix) || !isBlobName(name)) continue;
        const found = await stat(join(this.#root, name)).catch(nullIfMissing);
        if (found !== null) sights.push({ name, bytes: found.size });
      }
      return sights;
    });
  }

  /** Names of all files under a folder that ends in a slash, or is ''. */
  async *#filesUnder(folder: string): AsyncGenerator<string> {
    const entries = await readdir(join(this.#root, folder), { withFileTypes: true }).catch(nullIfMissing);
    for (const entry of entries ?? []) {
      if (entry.isDirectory()) yield* this.#filesUnder(`${folder}${entry.name}/`);
      else yield folder + entry.name;
    }
  }

  /** Tried again at the next use where it fails. */
  #sweepOnce(): Promise<void> {
    if (this.#swept === null) {
      this.#swept = this.#sweep();
      this.#swept.catch(() => {
        this.#swept = null;
      });
    }
    return this.#swept;
  }

  async #sweep(): Promise<void> {
    for await (const name of this.#filesUnder('')) {
      const path = join(this.#root, name);
      if (isLeftBehind(path)) await rm(path, { force: true });
    }
  }

  #pathOf(name: string): string {
    invariant(isBlobName(name), `a blob name is a path of plain names, got "${name}"`);
    return join(this.#root, name);
  }
}

async function* chunksOf(name: string, path: string): AsyncGenerator<Uint8Array> {
  const what = `cannot read "${name}"`;
  const file = await during(what, () => open(path, 'r'));
  try {
    for (;;) {
      const chunk = new Uint8Array(readBytes);
      const { bytesRead } = await during(what, () => file.read(chunk, 0, readBytes));
      if (bytesRead === 0) return;
      yield chunk.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

/** `.writing-<host>-<process>-<count>`, so that another process can tell whether its writer still lives. */
function temporaryName(): string {
  writes += 1;
  return `${temporaryPrefix}${hostname()}-${process.pid}-${writes}`;
}

/** True for a temporary file of this host whose writer has died. Those of other hosts are left to these. */
function isLeftBehind(path: string): boolean {
  const name = basename(path);
  const mine = `${temporaryPrefix}${hostname()}-`;
  if (!name.startsWith(mine) || beingWritten.has(path)) return false;
  const writer = Number(name.slice(mine.length).split('-')[0]);
  return writer === process.pid || !isAlive(writer);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // A process of somebody else answers too: that it may not be asked.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function writeFile(
  path: string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<void> {
  const file = await open(path, 'wx');
  try {
    for await (const chunk of chunks) await writeAll(file, chunk);
    await file.sync();
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

/** Makes a folder and those above it; each is as lasting as the one that holds it. */
async function makeFolder(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true });
  if (first === undefined) return;
  for (let made = folder; made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made));
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

/** Failures of the system become MILL_STORE_UNAVAILABLE; what the writer's own chunks throw stays what it is. */
async function during<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (!(cause instanceof Error && 'syscall' in cause)) throw cause;
    throw new MillraceError('MILL_STORE_UNAVAILABLE', `${what}: ${reasonFrom(cause)}`, { cause });
  }
}
