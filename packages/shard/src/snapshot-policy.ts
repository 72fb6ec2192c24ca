/** When a snapshot is full and when it is a delta, and who writes to the store that all share. Pure. */
import { holdersOf } from '@millrace/core';
import { type PartitionMap, partitionSetFrom, type Sequence } from '@millrace/protocol';
import type { ShardSight } from '@millrace/runtime';

/** Restoring reads the whole chain, so a longer one costs restores more than it saves writes. */
export const deltasMax = 7;

/** The newest snapshot that this process wrote to a store, and how many deltas lead from a full one to it. */
export interface ChainMark {
  readonly sequence: Sequence;
  readonly deltas: number;
}

export interface CaptureQuestion {
  /** Sequence at which the change marks were cleared last; null: never, as far as a capture goes. */
  readonly markedSince: Sequence | null;
  readonly rows: number;
  readonly changedRows: number;
  /** One for each store that the snapshot is for; null where nothing is known. */
  readonly chains: readonly (ChainMark | null)[];
}

/**
 * What the next snapshot builds on, null for a full one. A delta takes the rows changed since the marks were cleared, so it
 * fits only where the snapshot of that moment lies in every store, and pays only while it is under half of a full one.
 */
export function captureBase({ markedSince, rows, changedRows, chains }: CaptureQuestion): Sequence | null {
  const fits = chains.every((chain) => chain?.sequence === markedSince && chain.deltas < deltasMax);
  return fits && 2 * changedRows < rows ? markedSince : null;
}

/** The mark after a snapshot was written on `base`. */
export function chainAfter(chain: ChainMark | null, sequence: Sequence, base: Sequence | null): ChainMark {
  return { sequence, deltas: base === null || chain === null ? 0 : chain.deltas + 1 };
}

/**
 * True when `shard` is the first of a partition's holders that lives and answers reads: it writes for all of them. Two that
 * both think so do no harm, since they write the same state.
 */
export function isFirstReady(
  map: PartitionMap,
  partition: number,
  shard: string,
  sights: readonly ShardSight[],
): boolean {
  for (const holder of holdersOf(map, partition)) {
    if (holder === shard) return true;
    const sight = sights.find(({ lease, live }) => live && lease.shard === holder);
    const lease = sight?.lease.models.find(({ model }) => model === map.model);
    if (lease && partitionSetFrom(lease.readyPartitions)(partition)) return false;
  }
  return false;
}
