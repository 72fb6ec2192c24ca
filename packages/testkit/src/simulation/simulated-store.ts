/** What lies in a blob store: a disk's directory, or the object store of NATS. It outlives the processes that use it. */

export interface StoredBlob {
  readonly bytes: Uint8Array;
  /** Not what was meant to be written: a prefix, or with a bit turned over. */
  readonly damaged: boolean;
}

export interface SimulatedStore {
  readonly name: string;
  readonly blobs: Map<string, StoredBlob>;
  /** Names as they were some writes ago, which a stale listing still gives. */
  earlierNames: readonly { readonly name: string; readonly bytes: number }[];
  /** Writes left before it is full. */
  writesLeft: number;
  /** Told of each blob that was put, or damaged. */
  onPut: (store: SimulatedStore, name: string) => void;
}

export function createSimulatedStore(
  name: string,
  onPut: SimulatedStore['onPut'] = () => undefined,
): SimulatedStore {
  return { name, blobs: new Map(), earlierNames: [], writesLeft: Number.POSITIVE_INFINITY, onPut };
}

export function listingOf({ blobs }: SimulatedStore): readonly { name: string; bytes: number }[] {
  return [...blobs].map(([name, { bytes }]) => ({ name, bytes: bytes.length }));
}

export function putBlob(store: SimulatedStore, name: string, bytes: Uint8Array, damaged: boolean): void {
  store.earlierNames = listingOf(store);
  store.blobs.delete(name);
  store.blobs.set(name, { bytes, damaged });
  store.onPut(store, name);
}
