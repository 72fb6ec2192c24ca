/**
 * A store whose reader and writer leave the process to others between two chunks: what is written beside pulls is never in
 * more of a hurry than they are. Chunks that are there already would else be worked through in one go.
 */
import type { BlobStore, Clock } from '@millrace/runtime';

export function pacedBlobs(blobs: BlobStore, clock: Clock): BlobStore {
  async function* paced(
    chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  ): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      yield chunk;
      await new Promise<void>((resolve) => clock.setTimer(0, resolve));
    }
  }
  return {
    put: (name, chunks) => blobs.put(name, paced(chunks)),
    async get(name) {
      const chunks = await blobs.get(name);
      return chunks === null ? null : paced(chunks);
    },
    delete: (name) => blobs.delete(name),
    list: (prefix) => blobs.list(prefix),
  };
}
