/** Folds of a model as they were at a moment, made offline from snapshots and log (history-fold.ts). */
import {
  applyDense,
  applyGradients,
  type DenseState,
  fingerprintOf,
  type PartitionState,
  tableLayouts,
} from '@millrace/core';
import {
  decodeAnyDenseBlock,
  decodePartitionBlock,
  denseSubject,
  gradientsSubject,
  isMillraceError,
  type ModelFile,
  modelNameFrom,
  partitionsDefault,
  type Sequence,
} from '@millrace/protocol';
import type { Bus } from '@millrace/runtime';
import type { Archive } from './archive.ts';
import { mapFew } from './few-at-once.ts';
import { foldHistory, type HistoryOptions } from './history-fold.ts';
import { readStretch } from './history-read.ts';
import { emptyPartition, foldOf, type PartitionIdentity } from './restore.ts';
import type { FoldId } from './snapshot-name.ts';

export interface PartitionHistoryOptions extends HistoryOptions<PartitionState> {
  /** Null: nobody keeps snapshots, the log alone is folded. */
  readonly archive: Archive | null;
  /** Names of the archive's stores; default: the shared one. */
  readonly stores?: readonly string[];
  readonly file: ModelFile;
  readonly partition: number;
}

export interface DenseHistoryOptions extends HistoryOptions<DenseState> {
  readonly archive: Archive | null;
  readonly stores?: readonly string[];
  readonly model: string;
  /** The state before the first block; called once more each time the fold begins anew. */
  readonly initial: () => DenseState;
}

/** Which partition of which model file. */
export function partitionIdentity(file: ModelFile, partition: number): PartitionIdentity {
  return {
    model: file.name,
    fingerprint: fingerprintOf(file),
    partition,
    layouts: tableLayouts(file),
  };
}

/**
 * A partition as it was at `until`.
 * @throws MILL_HISTORY_GONE, MILL_STORE_UNAVAILABLE, MILL_LOG_UNAVAILABLE
 */
export function foldPartitionAt(options: PartitionHistoryOptions): Promise<PartitionState> {
  const { archive, stores = sharedAlone, file, partition, ...fold } = options;
  const identity = partitionIdentity(file, partition);
  return foldHistory(
    {
      log: 'gradients',
      subject: gradientsSubject(modelNameFrom(file.name), partition),
      name: `${file.name}/${partition}`,
      empty: () => emptyPartition(identity),
      restore: async (limits) => (await archive?.restorePartition(identity, limits)) ?? null,
      snapshots: () => sequencesOf(archive, stores, foldOf(identity)),
      apply: applyGradients,
      timeOf: ({ payload }) => timeFrom(() => decodePartitionBlock(payload).timeMs),
    },
    fold,
  );
}

/**
 * The dense weights as they were at `until`.
 * @throws MILL_HISTORY_GONE, MILL_STORE_UNAVAILABLE, MILL_LOG_UNAVAILABLE
 */
export function foldDenseAt(options: DenseHistoryOptions): Promise<DenseState> {
  const { archive, stores = sharedAlone, model, initial, ...fold } = options;
  return foldHistory(
    {
      log: 'dense',
      subject: denseSubject(modelNameFrom(model)),
      name: `the dense weights of ${model}`,
      empty: initial,
      restore: async (limits) => {
        const state = initial();
        return (await archive?.restoreDense(state, limits)) ? state : null;
      },
      snapshots: () => {
        const { fingerprint } = initial();
        return sequencesOf(archive, stores, { model, fingerprint, fold: 'dense' });
      },
      apply: applyDense,
      timeOf: ({ payload }) => timeFrom(() => decodeAnyDenseBlock(payload).timeMs),
    },
    fold,
  );
}

export interface BlockSight {
  readonly sequence: Sequence;
  /** When it was made, Unix ms of the updater; null when it cannot be read. */
  readonly timeMs: number | null;
}

/**
 * The newest gradient block of any partition at or below a sequence, null when the log has none. It is looked for in ever
 * longer stretches before the sequence, in each partition the block that is nearest.
 */
export async function newestBlockAtOrBelow(
  bus: Bus,
  file: ModelFile,
  sequence: Sequence,
): Promise<BlockSight | null> {
  const partitions = file.partitions ?? partitionsDefault;
  const model = modelNameFrom(file.name);
  for (let stretch = 8 * partitions; ; stretch *= 16) {
    const from = Math.max(1, sequence - stretch);
    const sights = await mapFew(partitions, (partition) =>
      newestOf(bus, gradientsSubject(model, partition), from, sequence),
    );
    const found = sights.reduce(
      (newest, sight) => (sight && sight.sequence > (newest?.sequence ?? 0) ? sight : newest),
      null,
    );
    if (found !== null || from === 1) return found;
  }
}

const sharedAlone = ['shared'];

async function sequencesOf(
  archive: Archive | null,
  stores: readonly string[],
  of: FoldId,
): Promise<readonly Sequence[]> {
  if (archive === null) return [];
  const names = (await Promise.all(stores.map((store) => archive.list(store, of)))).flat();
  return [...new Set(names.map(({ sequence }) => sequence))].sort((a, b) => b - a);
}

async function newestOf(
  bus: Bus,
  subject: string,
  from: Sequence,
  atMost: Sequence,
): Promise<BlockSight | null> {
  let newest: BlockSight | null = null;
  const through = await bus.headOf('gradients', subject);
  await readStretch(bus, { log: 'gradients', subject, from, through }, ({ sequence, payload }) => {
    if (sequence > atMost) return 'stop';
    newest = { sequence, timeMs: timeFrom(() => decodePartitionBlock(payload).timeMs) };
    return 'on';
  });
  return newest;
}

function timeFrom(read: () => number): number | null {
  try {
    return read();
  } catch (error) {
    if (!isMillraceError(error)) throw error;
    return null;
  }
}
