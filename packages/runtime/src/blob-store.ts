/** Where large values lie, whole: snapshots. On NATS an object store, else a directory, in tests memory. */

export interface BlobSight {
  readonly name: string;
  readonly bytes: number;
}

export interface BlobStore {
  /**
   * Stores `chunks`, in order, under `name`, in place of what was there. A reader sees all of it or what was there before.
   * Chunks are consumed as they are written, so a generator is asked no faster than the store takes them.
   * @throws MILL_STORE_UNAVAILABLE when it could not be stored (full, out of reach), and whatever the chunks throw; what was
   *   there before is there still. Where the last answer was lost, it may be the new value all the same.
   */
  put(name: string, chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<void>;
  /**
   * The bytes under `name` in chunks of any length, null when there are none. A chunk is the receiver's to keep.
   * The iteration throws MILL_STORE_UNAVAILABLE when it cannot go on, as where the value is replaced or deleted meanwhile;
   * ending it early frees what it holds.
   */
  get(name: string): Promise<AsyncIterable<Uint8Array> | null>;
  /** Forgets `name`; harmless when there is none. */
  delete(name: string): Promise<void>;
  /** All names that begin with `prefix`, in no order. */
  list(prefix: string): Promise<readonly BlobSight[]>;
}

/** Names are paths: parts of lower-case letters, digits, dots and dashes, `/` between them. */
export function isBlobName(name: string): boolean {
  return name.length <= 200 && /^[a-z0-9][a-z0-9.-]*(?:\/[a-z0-9][a-z0-9.-]*)*$/.test(name);
}
