/**
 * Snapshots in several stores: finds the newest state that is whole, writes new snapshots, forgets old ones. A damaged
 * snapshot is told of and passed over; so is one that cannot be read, as long as another way leads to a state.
 */
import type { DenseState, PartitionState } from '@millrace/core';
import { invariant, isMillraceError, MillraceError, type Sequence } from '@millrace/protocol';
import type { BlobStore } from '@millrace/runtime';
import { newestChain, type PlacedSnapshot, pruned } from './chains.ts';
import { readSnapshot } from './read-snapshot.ts';
import {
  emptyPartition,
  foldOf,
  type PartitionIdentity,
  refuseOther,
  restoreDenseInto,
  restoreInto,
} from './restore.ts';
import {
  type FoldId,
  type SnapshotName,
  snapshotNameFrom,
  snapshotPath,
  snapshotPrefix,
} from './snapshot-name.ts';

export interface ArchiveStore {
  /** `own` or `shared`, as a rule. */
  readonly name: string;
  readonly blobs: BlobStore;
}

export interface ArchiveOptions {
  /** Nearest first. */
  readonly stores: readonly ArchiveStore[];
  /** A snapshot was found to be damaged and is passed over. */
  readonly onDamaged: (store: string, path: string, error: MillraceError) => void;
}

export interface RestoreOptions {
  /** Snapshots at higher sequences are passed over. */
  readonly atMost?: Sequence;
  /**
   * States at lower sequences are of no use: the log does not continue them. Where no other is found and a store was out of
   * reach, MILL_STORE_UNAVAILABLE is thrown, since that store may have one. A log is trimmed for the full snapshot at just
   * this sequence, so that one is asked for by its name where a listing, which may lag behind, does not show it.
   */
  readonly atLeast?: Sequence;
  /** Rows read so far of the snapshots that are being put together; starts again from 0 where one was damaged. */
  readonly onRows?: (rows: number) => void;
}

export interface Archive {
  /**
   * The newest whole state of a partition at or below `atMost` in any store, of equals that of the nearest; null when there
   * is none. Its change marks are clear.
   * @throws MILL_STORE_UNAVAILABLE when a store could not be read and no other gave a state.
   */
  restorePartition(of: PartitionIdentity, options?: RestoreOptions): Promise<PartitionState | null>;
  /**
   * Puts the newest whole dense snapshot into `state`: weights, optimizer state, sequence, producers, counts. False when
   * there is none; `state` is as it was then, and when it throws.
   * @throws MILL_STORE_UNAVAILABLE as above.
   */
  restoreDense(state: DenseState, options?: RestoreOptions): Promise<boolean>;
  /** Snapshots of a fold in a store, newest first. @throws MILL_STORE_UNAVAILABLE */
  list(store: string, of: FoldId): Promise<readonly SnapshotName[]>;
  /**
   * Reads one snapshot of one store and checks every block and the end: true when a restore would take it. A damaged one is
   * told of. @throws MILL_STORE_UNAVAILABLE
   */
  isWhole(store: string, of: FoldId, name: SnapshotName): Promise<boolean>;
  /** @param blocks as captured, all of them. @throws MILL_STORE_UNAVAILABLE */
  write(store: string, of: FoldId, name: SnapshotName, blocks: readonly Uint8Array[]): Promise<void>;
  /**
   * Deletes full snapshots below `oldestFull` and deltas that build on none of those left; nothing where no full one would be
   * left. @throws MILL_STORE_UNAVAILABLE
   */
  prune(store: string, of: FoldId, oldestFull: Sequence): Promise<void>;
}

export function createArchive(options: ArchiveOptions): Archive {
  return new ArchiveOfStores(options);
}

class ArchiveOfStores implements Archive {
  readonly #stores: readonly ArchiveStore[];
  readonly #onDamaged: ArchiveOptions['onDamaged'];

  constructor({ stores, onDamaged }: ArchiveOptions) {
    this.#stores = stores;
    this.#onDamaged = onDamaged;
  }

  restorePartition(of: PartitionIdentity, options: RestoreOptions = {}): Promise<PartitionState | null> {
    return this.#newest(foldOf(of), options, async (chain, chunksOf) => {
      const state = emptyPartition(of);
      let rows = 0;
      for (const snapshot of chain) {
        await chunksOf(snapshot, (chunks) =>
          restoreInto(state, snapshot, chunks, (more) => {
            rows += more;
            options.onRows?.(rows);
          }),
        );
      }
      return state;
    });
  }

  async restoreDense(state: DenseState, options: RestoreOptions = {}): Promise<boolean> {
    const of: FoldId = { model: state.model, fingerprint: state.fingerprint, fold: 'dense' };
    const restored = await this.#newest(of, options, async (chain, chunksOf) => {
      const newest = chain[0];
      await chunksOf(newest, (chunks) => restoreDenseInto(state, newest, chunks));
      return state;
    });
    return restored !== null;
  }

  async list(store: string, of: FoldId): Promise<readonly SnapshotName[]> {
    const names = await namesIn(this.#blobsOf(store), of);
    return names.sort((a, b) => b.sequence - a.sequence || (a.base ?? -1) - (b.base ?? -1));
  }

  async isWhole(store: string, of: FoldId, name: SnapshotName): Promise<boolean> {
    const path = snapshotPath(of, name);
    const chunks = await this.#blobsOf(store).get(path);
    if (chunks === null) return false;
    try {
      await readSnapshot(chunks, { onHeader: (header) => refuseOther(header, of, name), onBlock() {} });
      return true;
    } catch (error) {
      if (!isMillraceError(error, 'MILL_SNAPSHOT_INVALID')) throw error;
      this.#onDamaged(store, path, error);
      return false;
    }
  }

  write(store: string, of: FoldId, name: SnapshotName, blocks: readonly Uint8Array[]): Promise<void> {
    return this.#blobsOf(store).put(snapshotPath(of, name), blocks);
  }

  async prune(store: string, of: FoldId, oldestFull: Sequence): Promise<void> {
    const blobs = this.#blobsOf(store);
    const names = await namesIn(blobs, of);
    if (!names.some(({ base, sequence }) => base === null && sequence >= oldestFull)) return;
    for (const name of pruned(names, oldestFull)) await blobs.delete(snapshotPath(of, name));
  }

  /**
   * Tries chain after chain, newest first, until `assemble` makes a state of one. What cannot be read is left out of the
   * next choice, so there are at most as many tries as snapshots.
   */
  async #newest<State>(
    of: FoldId,
    { atMost = Number.MAX_SAFE_INTEGER, atLeast = 0 }: RestoreOptions,
    assemble: (chain: readonly PlacedSnapshot[], chunksOf: ReadOne) => Promise<State>,
  ): Promise<State | null> {
    const found = await this.#find(of);
    const unlisted = unlistedAt(atLeast, of, found.snapshots, this.#stores.length);
    let snapshots = [...found.snapshots, ...unlisted];
    let unavailable = found.unavailable;
    for (;;) {
      const chain = newestChain(snapshots, atMost);
      if (chain === null || chain[chain.length - 1].sequence < atLeast) break;
      let reading = chain[0];
      const chunksOf: ReadOne = async (snapshot, read) => {
        reading = snapshot;
        const chunks = await this.#stores[snapshot.store].blobs.get(snapshot.path);
        if (chunks === null) throw new SnapshotGone(`"${snapshot.path}" is gone`);
        await read(chunks);
      };
      try {
        return await assemble(chain, chunksOf);
      } catch (error) {
        const { store, path } = reading;
        if (error instanceof SnapshotGone && unlisted.includes(reading)) {
          // It was a guess.
        } else if (isMillraceError(error, 'MILL_SNAPSHOT_INVALID'))
          this.#onDamaged(this.#stores[store].name, path, error);
        else if (isMillraceError(error, 'MILL_STORE_UNAVAILABLE')) unavailable ??= error;
        else throw error;
        snapshots = snapshots.filter((snapshot) => snapshot !== reading);
      }
    }
    if (unavailable !== null) throw unavailable;
    return null;
  }

  /** Every snapshot of a fold in every store that can be reached. */
  async #find(
    of: FoldId,
  ): Promise<{ snapshots: readonly PlacedSnapshot[]; unavailable: MillraceError | null }> {
    const snapshots: PlacedSnapshot[] = [];
    let unavailable: MillraceError | null = null;
    for (const [store, { blobs }] of this.#stores.entries()) {
      try {
        for (const name of await namesIn(blobs, of))
          snapshots.push({ ...name, store, path: snapshotPath(of, name) });
      } catch (error) {
        if (!isMillraceError(error, 'MILL_STORE_UNAVAILABLE')) throw error;
        unavailable ??= error;
      }
    }
    return { snapshots, unavailable };
  }

  #blobsOf(store: string): BlobStore {
    const found = this.#stores.find(({ name }) => name === store);
    invariant(found !== undefined, `there is no snapshot store "${store}"`);
    return found.blobs;
  }
}

/** It was listed, and pruned before it was read: a listing of now shows newer ones. */
class SnapshotGone extends MillraceError {
  constructor(what: string) {
    super('MILL_STORE_UNAVAILABLE', what);
  }
}

/** Where a full snapshot at `sequence` lies if there is one, in each store that does not list it; none of an empty fold. */
function unlistedAt(
  sequence: Sequence,
  of: FoldId,
  listed: readonly PlacedSnapshot[],
  stores: number,
): readonly PlacedSnapshot[] {
  if (sequence === 0) return [];
  const name = { sequence, base: null };
  const places = Array.from({ length: stores }, (_, store) => ({
    ...name,
    store,
    path: snapshotPath(of, name),
  }));
  return places.filter(
    ({ store, path }) => !listed.some((snapshot) => snapshot.store === store && snapshot.path === path),
  );
}

/** Opens one snapshot of a chain and reads it. */
type ReadOne = (
  snapshot: PlacedSnapshot,
  read: (chunks: AsyncIterable<Uint8Array>) => Promise<void>,
) => Promise<void>;

async function namesIn(blobs: BlobStore, of: FoldId): Promise<SnapshotName[]> {
  const sights = await blobs.list(snapshotPrefix(of));
  return sights.map(({ name }) => snapshotNameFrom(of, name)).filter((name) => name !== null);
}
