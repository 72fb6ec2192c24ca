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
  /** By partition: taken on and not let go, also while its state is being restored. */
  readonly held: boolean[];
  /** By partition; null where it is not held, or not restored yet. */
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
    held: new Array<boolean>(partitions).fill(false),
    states: new Array<PartitionState | null>(partitions).fill(null),
    readable: layouts.map(() => new Array<RowTable | null>(partitions).fill(null)),
  };
}

/** Says that a partition is on its way: pulls of it are told to wait rather than to look elsewhere for good. */
export function expectPartition(shard: ModelShard, partition: number): void {
  shard.held[partition] = true;
}

/** Takes a partition on, not readable yet. @param restored  its state so far, taken over; null: it begins empty. */
export function takePartition(
  shard: ModelShard,
  partition: number,
  restored: PartitionState | null = null,
): PartitionState {
  const { file, layouts } = shard;
  const state =
    restored ??
    createPartitionState({ model: file.name, fingerprint: fingerprintOf(file), partition, layouts });
  shard.held[partition] = true;
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

/** Forgets a state, since another one is to take its place; the partition stays held. */
export function forgetState(shard: ModelShard, partition: number): void {
  shard.states[partition] = null;
  for (const tables of shard.readable) tables[partition] = null;
}

/** Lets go of a partition. */
export function dropPartition(shard: ModelShard, partition: number): void {
  shard.held[partition] = false;
  forgetState(shard, partition);
}

export function isReadable(shard: ModelShard, partition: number): boolean {
  return shard.readable[0][partition] !== null;
}

/**
 * One report for each partition held, or for one. Hashing walks every row: for operators and tests, not for a hot path.
 * @param only  a partition, null: all.
 */
export function reportPartitions(shard: ModelShard, only: number | null = null): readonly PartitionReport[] {
  return shard.states.flatMap((state, partition) => {
    if (state === null || (only !== null && partition !== only)) return [];
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
