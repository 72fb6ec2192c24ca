/** A blob store in a JetStream object store: values in chunks, a digest of the whole checked when it has been read. */
import { MillraceError, reasonFrom } from '@millrace/protocol';
import type { ObjectInfo, ObjectStore } from 'nats';
import { type BlobSight, type BlobStore, isBlobName } from './blob-store.ts';

/** One chunk is one message; larger ones would hold up what else the connection carries. */
const chunkBytes = 256 * 1024;

export class NatsBlobs implements BlobStore {
  readonly #store: ObjectStore;

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  async put(name: string, chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<void> {
    if (!isBlobName(name)) throw new Error(`a blob name is a path of plain names, got "${name}"`);
    const meta = { name, options: { max_chunk_size: chunkBytes } };
    await during(`cannot store "${name}"`, () => this.#store.put(meta, streamOf(chunks)));
  }

  async get(name: string): Promise<AsyncIterable<Uint8Array> | null> {
    const result = await during(`cannot read "${name}"`, () => this.#store.get(name));
    if (result === null) return null;
    return chunksOf(name, result.data, result.error);
  }

  async delete(name: string): Promise<void> {
    const info = await this.#infoOf(name);
    if (info === null || info.deleted) return;
    await during(`cannot delete "${name}"`, () => this.#store.delete(name));
  }

  async list(prefix: string): Promise<readonly BlobSight[]> {
    const infos = await during('cannot list the store', () => this.#store.list());
    return infos
      .filter(({ name, deleted }) => !deleted && name.startsWith(prefix))
      .map(({ name, size }) => ({ name, bytes: size }));
  }

  #infoOf(name: string): Promise<ObjectInfo | null> {
    return during(`cannot look up "${name}"`, () => this.#store.info(name));
  }
}

async function during<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw new MillraceError('MILL_STORE_UNAVAILABLE', `${what}: ${reasonFrom(cause)}`, { cause });
  }
}

function streamOf(chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const iterator =
    Symbol.asyncIterator in chunks ? chunks[Symbol.asyncIterator]() : chunks[Symbol.iterator]();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await iterator.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
  });
}

/** Ends with an error when the digest of what was read is not the one that was stored. */
async function* chunksOf(
  name: string,
  data: ReadableStream<Uint8Array>,
  error: Promise<Error | null>,
): AsyncGenerator<Uint8Array> {
  const reader = data.getReader();
  try {
    for (;;) {
      const { done, value } = await during(`cannot read "${name}"`, () => reader.read());
      if (done) break;
      yield value;
    }
    const failed = await error;
    if (failed) throw new MillraceError('MILL_STORE_UNAVAILABLE', `cannot read "${name}": ${failed.message}`);
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
