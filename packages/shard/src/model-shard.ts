/**
 * What one shard holds of one model: the folds of the partitions it owns, and for each table the arenas that reads may use.
 * Reads see a partition only once it has caught up with the log as it was when the shard took it on.
 */
import {
  createPartitionState,
  fingerprintOf,
  type PartitionState,
  partitionHash,
  partitionRows,
  type RowTable,
  type TableLayout,
  tableLayouts,
} from '@millrace/core';
import { type ModelFile, type PartitionReport, partitionsDefault } from '@millrace/protocol';

export interface ModelShard {
  readonly file: ModelFile;
  readonly partitions: number;
  readonly layouts: readonly TableLayout[];
  /** By partition; null where it is not held. */
  readonly states: (PartitionState | null)[];
  /** readable[table][partition]: arenas that pulls may read, null where not held or not caught up. */
  readonly readable: (RowTable | null)[][];
}

export function createModelShard(file: ModelFile): ModelShard {
  const partitions = file.partitions ?? partitionsDefault;
  const layouts = tableLayouts(file);
  return {
    file,
    partitions,
    layouts,
    states: new Array<PartitionState | null>(partitions).fill(null),
    readable: layouts.map(() => new Array<RowTable | null>(partitions).fill(null)),
  };
}

/** Takes a partition on with an empty state, not readable yet. */
export function takePartition(shard: ModelShard, partition: number): PartitionState {
  const { file, layouts } = shard;
  const state = createPartitionState({
    model: file.name,
    fingerprint: fingerprintOf(file),
    partition,
    layouts,
  });
  shard.states[partition] = state;
  return state;
}

/** Lets reads see a partition. */
export function openPartition(shard: ModelShard, partition: number): void {
  const state = shard.states[partition];
  shard.readable.forEach((tables, table) => {
    tables[partition] = state?.tables[table] ?? null;
  });
}

/** Forgets a partition. */
export function dropPartition(shard: ModelShard, partition: number): void {
  shard.states[partition] = null;
  for (const tables of shard.readable) tables[partition] = null;
}

export function isReadable(shard: ModelShard, partition: number): boolean {
  return shard.readable[0][partition] !== null;
}

/** One report for each partition held. Hashing walks every row: for operators and tests, not for a hot path. */
export function reportPartitions(shard: ModelShard): readonly PartitionReport[] {
  return shard.states.flatMap((state, partition) => {
    if (state === null) return [];
    const { applied, duplicates, rejected } = state.counts;
    const report: PartitionReport = {
      partition,
      sequence: state.sequence,
      rows: partitionRows(state),
      ready: isReadable(shard, partition),
      applied,
      duplicates,
      rejected,
      stateHash: partitionHash(state),
    };
    return [report];
  });
}
