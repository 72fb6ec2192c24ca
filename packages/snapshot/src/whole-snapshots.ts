/**
 * Which full snapshots of one fold in one store are whole. Each is read back once by a process: nothing is forgotten, in the
 * store or in the log, for one that the store does not keep as it was given, or that a dying writer left cut short.
 */
import { invariant, type Sequence } from '@millrace/protocol';
import type { Archive } from './archive.ts';
import type { FoldId } from './snapshot-name.ts';

/**
 * Of each fold so many are kept at least. A file may be damaged after it was read back: with two, the older one and the log
 * behind it give the state all the same; with one, they would be gone.
 */
export const fullSnapshotsMin = 2;

export interface WholeSnapshots {
  /** @throws MILL_STORE_UNAVAILABLE */
  isWhole(sequence: Sequence): Promise<boolean>;
  /** It was written again, so what is known of it counts no more. */
  forget(sequence: Sequence): void;
  /**
   * The oldest of the newest `fulls` that are whole; null while there are fewer. One that is not whole takes nobody's place.
   * @param fulls  fullSnapshotsMin or more.
   * @throws MILL_STORE_UNAVAILABLE
   */
  oldestOf(fulls: number): Promise<Sequence | null>;
}

export function createWholeSnapshots(archive: Archive, store: string, of: FoldId): WholeSnapshots {
  const proven = new Set<Sequence>();
  const isWhole = async (sequence: Sequence) => {
    if (proven.has(sequence)) return true;
    if (!(await archive.isWhole(store, of, { sequence, base: null }))) return false;
    proven.add(sequence);
    return true;
  };
  return {
    isWhole,
    forget: (sequence) => void proven.delete(sequence),
    async oldestOf(fulls) {
      invariant(
        fulls >= fullSnapshotsMin,
        `at least ${fullSnapshotsMin} full snapshots are kept, not ${fulls}`,
      );
      let whole = 0;
      for (const { sequence, base } of await archive.list(store, of)) {
        if (base !== null || !(await isWhole(sequence))) continue;
        whole += 1;
        if (whole < fulls) continue;
        for (const earlier of proven) if (earlier < sequence) proven.delete(earlier);
        return sequence;
      }
      return null;
    },
  };
}
