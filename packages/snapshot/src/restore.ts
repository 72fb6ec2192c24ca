/** Puts snapshots into a state: a full one into an empty state, a delta onto the state at its base. */
import {
  clearChanged,
  createPartitionState,
  type DenseState,
  type PartitionState,
  putRows,
  removeKey,
  reserveRows,
  type TableLayout,
} from '@millrace/core';
import { type BlobChunks, readSnapshot } from './read-snapshot.ts';
import type { AdmissionBlock, FloatsBlock, GoneBlock } from './snapshot-blocks.ts';
import { invalid, type SnapshotHeader } from './snapshot-header.ts';
import type { FoldId, SnapshotName } from './snapshot-name.ts';

/** Which partition of which model file, and how its rows lie. */
export interface PartitionIdentity {
  readonly model: string;
  readonly fingerprint: number;
  readonly partition: number;
  readonly layouts: readonly TableLayout[];
}

export function emptyPartition(of: PartitionIdentity): PartitionState {
  return createPartitionState(of);
}

export function foldOf({ model, fingerprint, partition }: PartitionIdentity): FoldId {
  return { model, fingerprint, fold: partition };
}

/**
 * Puts one snapshot into `state`, which must stand at its base: empty for a full one. Where it throws, `state` is of no use.
 * @param onRows is given the number of rows of each block that is in.
 * @throws MILL_SNAPSHOT_INVALID, and whatever the chunks throw.
 */
export async function restoreInto(
  state: PartitionState,
  name: SnapshotName,
  chunks: BlobChunks,
  onRows: (rows: number) => void,
): Promise<void> {
  const rows = state.tables.map(() => 0);
  const gone = state.tables.map(() => 0);
  const memories: Uint32Array[][] = state.tables.map(() => []);
  let found: SnapshotHeader | null = null;
  await readSnapshot(chunks, {
    onHeader: (header) => {
      refuseOther(
        header,
        { model: state.model, fingerprint: state.fingerprint, fold: state.partition },
        name,
      );
      refuseOtherTables(header, state);
      if ((name.base ?? 0) !== state.sequence) throw invalid(`a base at ${state.sequence}`);
      for (const [i, table] of state.tables.entries()) reserveRows(table, header.tables[i].rowsAfter);
      found = header;
    },
    onBlock: (block) => {
      if (block.kind === 'gone') gone[block.table] += takeAway(state, block);
      else if (block.kind === 'admission') takeMemory(memories[block.table], block);
      if (block.kind === 'floats') throw invalid('rows of a partition');
      if (block.kind !== 'rows') return;
      putRows(state.tables[block.table], block);
      rows[block.table] += block.count;
      onRows(block.count);
    },
  });
  const header = found as SnapshotHeader | null;
  if (header === null) throw invalid('a header');
  for (const [i, table] of state.tables.entries()) {
    const wanted = header.tables[i];
    if (rows[i] !== wanted.rows || table.count !== wanted.rowsAfter)
      throw invalid(`${wanted.rowsAfter} rows of "${wanted.name}", found ${table.count}`);
    if (gone[i] !== wanted.gone) throw invalid(`${wanted.gone} keys that went, found ${gone[i]}`);
    clearChanged(table);
    restoreLife(state, i, memories[i], wanted);
  }
  takeMarks(state, header);
  state.eventTimeMs = header.eventTimeMs;
}

/** A key that came and went since the base has no row here. */
function takeAway(state: PartitionState, { table, keys }: GoneBlock): number {
  for (let i = 0; i < keys.length; i += 2) removeKey(state.tables[table], keys[i], keys[i + 1]);
  return keys.length / 2;
}

/** The words are the block's only until the next one comes. */
function takeMemory(memory: Uint32Array[], { at, words }: AdmissionBlock): void {
  const filled = memory.reduce((sum, { length }) => sum + length, 0);
  if (at !== filled) throw invalid(`words of an admission from ${filled}, found ${at}`);
  memory.push(words.slice());
}

function restoreLife(
  state: PartitionState,
  table: number,
  memory: readonly Uint32Array[],
  { admissionWords, sweep, name }: SnapshotHeader['tables'][number],
): void {
  const life = state.lives[table];
  const words = new Uint32Array(memory.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of memory) {
    words.set(part, at);
    at += part.length;
  }
  if (words.length !== admissionWords || (life.admission === null && words.length > 0))
    throw invalid(`${admissionWords} words of the admission of "${name}", found ${words.length}`);
  try {
    life.admission?.restore(words);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw invalid(error.message);
  }
  Object.assign(life.sweep, sweep);
}

/**
 * Puts a snapshot into `state`; nothing of it changes unless the whole snapshot is right.
 * @throws MILL_SNAPSHOT_INVALID, and whatever the chunks throw.
 */
export async function restoreDenseInto(
  state: DenseState,
  name: SnapshotName,
  chunks: BlobChunks,
): Promise<void> {
  const weights = new Float32Array(state.weights.length);
  const optimizerState = new Float32Array(state.optimizerState.length);
  let filled = 0;
  let found: SnapshotHeader | null = null;
  await readSnapshot(chunks, {
    onHeader: (header) => {
      refuseOther(header, { model: state.model, fingerprint: state.fingerprint, fold: 'dense' }, name);
      if (header.floats[0] !== weights.length || header.floats[1] !== optimizerState.length)
        throw invalid(`${weights.length} weights and ${optimizerState.length} floats of optimizer state`);
      found = header;
    },
    onBlock: (block) => {
      if (block.kind !== 'floats') throw invalid('floats of a dense fold');
      putFloats(block.array === 'weights' ? weights : optimizerState, block);
      filled += block.floats.length;
    },
  });
  const header = found as SnapshotHeader | null;
  if (header === null || filled !== weights.length + optimizerState.length) throw invalid('every float');
  state.weights.set(weights);
  state.optimizerState.set(optimizerState);
  takeMarks(state, header);
}

function putFloats(array: Float32Array, { at, floats }: FloatsBlock): void {
  if (at + floats.length > array.length) throw invalid(`floats within ${array.length}`);
  array.set(floats, at);
}

/** What the two folds have besides their numbers. */
function takeMarks(state: PartitionState | DenseState, header: SnapshotHeader): void {
  state.sequence = header.sequence;
  state.producers.clear();
  for (const [producer, sequence] of header.producers) state.producers.set(producer, sequence);
  const counts = state.counts as Record<string, number>;
  for (const name of Object.keys(counts)) counts[name] = header.counts[name] ?? 0;
}

/** @throws MILL_SNAPSHOT_INVALID when the header is of another snapshot than the name says. */
export function refuseOther(header: SnapshotHeader, of: FoldId, { sequence, base }: SnapshotName): void {
  if (
    header.model !== of.model ||
    header.fingerprint !== of.fingerprint ||
    header.fold !== of.fold ||
    header.sequence !== sequence ||
    header.base !== base
  ) {
    throw invalid(
      `${of.model}/${of.fold} (${of.fingerprint}) at ${sequence} on ${base ?? 'nothing'}, ` +
        `found ${header.model}/${header.fold} (${header.fingerprint}) at ${header.sequence} on ${header.base ?? 'nothing'}`,
    );
  }
}

function refuseOtherTables(header: SnapshotHeader, state: PartitionState): void {
  const form = (name: string, dim: number, stateFloats: number) => `${name} ${dim}+${stateFloats}`;
  const found = header.tables.map(({ name, dim, stateFloats }) => form(name, dim, stateFloats)).join(', ');
  const wanted = state.tables
    .map(({ layout }) => form(layout.name, layout.dim, layout.stateFloats))
    .join(', ');
  if (found !== wanted) throw invalid(`tables ${wanted}, found ${found}`);
}
