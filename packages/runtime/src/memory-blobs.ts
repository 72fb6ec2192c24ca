/** A blob store in memory. */
import { invariant } from '@millrace/protocol';
import { type BlobStore, isBlobName } from './blob-store.ts';

export function createMemoryBlobs(): BlobStore {
  const blobs = new Map<string, Uint8Array>();
  return {
    async put(name, chunks) {
      invariant(isBlobName(name), `a blob name is a path of plain names, got "${name}"`);
      const parts: Uint8Array[] = [];
      for await (const chunk of chunks) parts.push(Buffer.from(chunk));
      blobs.set(name, Buffer.concat(parts));
    },
    async get(name) {
      const bytes = blobs.get(name);
      return bytes === undefined ? null : oneChunk(bytes);
    },
    async delete(name) {
      blobs.delete(name);
    },
    async list(prefix) {
      return [...blobs]
        .filter(([name]) => name.startsWith(prefix))
        .map(([name, bytes]) => ({ name, bytes: bytes.length }));
    },
  };
}

async function* oneChunk(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield new Uint8Array(bytes);
}
