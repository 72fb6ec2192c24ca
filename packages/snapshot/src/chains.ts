/**
 * Which snapshots make a state. A chain is a full snapshot and the deltas that lead from it to a sequence. Since everybody's
 * snapshot of one fold at one sequence is of the same state, a delta goes onto any snapshot at its base, whoever wrote it
 * and wherever it lies.
 */
import type { Sequence } from '@millrace/protocol';
import type { SnapshotName } from './snapshot-name.ts';

/** A snapshot and where it lies; stores are counted nearest first. */
export interface PlacedSnapshot extends SnapshotName {
  readonly store: number;
  readonly path: string;
}

/**
 * The chain to the highest sequence that can be reached and is at most `atMost`, base first; null when there is none. Of
 * several snapshots at one sequence the one in the nearest store is taken, there a full one before a delta.
 */
export function newestChain(
  snapshots: readonly PlacedSnapshot[],
  atMost: Sequence,
): readonly PlacedSnapshot[] | null {
  const bySequence = new Map<Sequence, PlacedSnapshot[]>();
  for (const snapshot of [...snapshots].sort(inOrder)) {
    const others = bySequence.get(snapshot.sequence);
    if (others === undefined) bySequence.set(snapshot.sequence, [snapshot]);
    else others.push(snapshot);
  }
  // Ascending, so the chain to a base is known before that of a delta on it.
  const chains = new Map<Sequence, PlacedSnapshot[]>();
  let newest: PlacedSnapshot[] | null = null;
  for (const [sequence, others] of bySequence) {
    if (sequence > atMost) break;
    const chain = firstChain(others, chains);
    if (chain === null) continue;
    chains.set(sequence, chain);
    newest = chain;
  }
  return newest;
}

function firstChain(
  snapshots: readonly PlacedSnapshot[],
  chains: ReadonlyMap<Sequence, PlacedSnapshot[]>,
): PlacedSnapshot[] | null {
  for (const snapshot of snapshots) {
    if (snapshot.base === null) return [snapshot];
    const below = snapshot.base < snapshot.sequence ? chains.get(snapshot.base) : undefined;
    if (below !== undefined) return [...below, snapshot];
  }
  return null;
}

function inOrder(a: PlacedSnapshot, b: PlacedSnapshot): number {
  return a.sequence - b.sequence || a.store - b.store || (a.base ?? -1) - (b.base ?? -1);
}

/** The oldest of the newest `fulls` full snapshots, of fewer the oldest; null when there is none. */
export function oldestFullOf(names: readonly SnapshotName[], fulls: number): Sequence | null {
  const ascending = names
    .filter(({ base }) => base === null)
    .map(({ sequence }) => sequence)
    .sort((a, b) => a - b);
  return ascending.at(-Math.max(1, fulls)) ?? ascending[0] ?? null;
}

/**
 * What of one store goes when full snapshots are kept from `oldestFull` on: older ones, and deltas that no chain leads to any
 * more, or whose chain begins below it.
 */
export function pruned(names: readonly SnapshotName[], oldestFull: Sequence): readonly SnapshotName[] {
  const reached = new Set<Sequence>();
  const gone: SnapshotName[] = [];
  for (const name of [...names].sort((a, b) => a.sequence - b.sequence)) {
    const stays =
      name.base === null ? name.sequence >= oldestFull : name.base < name.sequence && reached.has(name.base);
    if (stays) reached.add(name.sequence);
    else gone.push(name);
  }
  return gone;
}
