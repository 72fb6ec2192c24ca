/**
 * The apply rule: one partition's state is the fold of its gradient log (I1), nothing else changes it.
 *
 *   state(p, s) = fold(applyGradients, empty, log(p, 1 … s])
 *
 * Pure and deterministic (I2): what a message does depends on the message and the state alone. A message is applied at most
 * once per producer sequence (I3). Damaged and foreign ones are counted and passed over, the same way on every owner.
 */
import { createHash, type Hash } from 'node:crypto';
import {
  bytesOf,
  decodeGradientBlock,
  type GradientBlock,
  type GradientSection,
  isMillraceError,
  MillraceError,
} from '@millrace/protocol';
import { createRowTable, type RowTable, rowTableBytes } from '../row-table.ts';
import type { TableLayout } from '../table-layout.ts';
import { type Producers, placeInChain } from './producers.ts';
import { stepRow } from './step-row.ts';

export interface PartitionState {
  readonly model: string;
  readonly fingerprint: number;
  readonly partition: number;
  /** One a table of the model, in file order. */
  readonly tables: readonly RowTable[];
  /** Log sequence up to which this state is the fold; 0 when empty. */
  sequence: number;
  readonly producers: Producers;
  /** Blocks applied, repeated, refused (damaged or foreign), and rows passed over for gradients that are not finite. */
  readonly counts: { applied: number; duplicates: number; rejected: number; brokenRows: number };
}

export type ApplyOutcome =
  | { readonly kind: 'applied'; readonly block: GradientBlock }
  /** Delivered again by the transport; the state stands at or beyond it. */
  | { readonly kind: 'stale' }
  /** Published again by its producer. */
  | { readonly kind: 'duplicate' }
  /** Its predecessor is missing; nothing was changed. Read again from the state's sequence, then accept. */
  | { readonly kind: 'gap'; readonly block: GradientBlock }
  | { readonly kind: 'rejected'; readonly error: MillraceError };

export function createPartitionState(options: {
  model: string;
  fingerprint: number;
  partition: number;
  layouts: readonly TableLayout[];
}): PartitionState {
  const { model, fingerprint, partition, layouts } = options;
  return {
    model,
    fingerprint,
    partition,
    tables: layouts.map(createRowTable),
    sequence: 0,
    producers: new Map(),
    counts: { applied: 0, duplicates: 0, rejected: 0, brokenRows: 0 },
  };
}

/**
 * Applies one log message.
 * @param message.payload  a gradient block (protocol/gradient-block.ts); only read.
 * @param onGap  'report' leaves the state alone when a predecessor is missing; 'accept' applies all the same, for when a
 *   second read has shown that the log itself lacks it.
 */
export function applyGradients(
  state: PartitionState,
  message: { readonly sequence: number; readonly payload: Uint8Array },
  onGap: 'report' | 'accept',
): ApplyOutcome {
  if (message.sequence <= state.sequence) return { kind: 'stale' };
  let block: GradientBlock;
  try {
    block = decodeGradientBlock(message.payload);
    refuseForeign(state, block);
  } catch (error) {
    if (!isMillraceError(error)) throw error;
    state.sequence = message.sequence;
    state.counts.rejected += 1;
    return { kind: 'rejected', error };
  }
  const place = placeInChain(state.producers, block);
  if (place === 'gap' && onGap === 'report') return { kind: 'gap', block };
  state.sequence = message.sequence;
  if (place === 'duplicate') {
    state.counts.duplicates += 1;
    return { kind: 'duplicate' };
  }
  for (const section of block.sections) applySection(state, section);
  state.producers.set(block.producer, block.sequence);
  state.counts.applied += 1;
  return { kind: 'applied', block };
}

/** Rows of all tables. */
export function partitionRows(state: PartitionState): number {
  return state.tables.reduce((rows, table) => rows + table.count, 0);
}

/** Bytes of all arenas. */
export function partitionBytes(state: PartitionState): number {
  return state.tables.reduce((bytes, table) => bytes + rowTableBytes(table), 0);
}

/**
 * SHA-256 over sequence, producers and every row with its optimizer state, in key order: equal exactly when two owners hold
 * the same state, whatever order their rows were created in.
 */
export function partitionHash(state: PartitionState): string {
  const hash = createHash('sha256');
  const producers = [...state.producers].sort(([a], [b]) => (a < b ? -1 : 1));
  hash.update(JSON.stringify([state.model, state.fingerprint, state.partition, state.sequence, producers]));
  hashRows(hash, state);
  return hash.digest('hex');
}

/**
 * SHA-256 over what a partition has learned: every row with its optimizer state, in key order. Not over how it came to it, so
 * a fold of a log and a learner without one can be compared.
 */
export function rowsHash(state: PartitionState): string {
  const hash = createHash('sha256');
  hash.update(JSON.stringify([state.model, state.fingerprint, state.partition]));
  hashRows(hash, state);
  return hash.digest('hex');
}

function hashRows(hash: Hash, state: PartitionState): void {
  for (const table of state.tables) {
    const { keys, weights, state: optimizerState, count, layout } = table;
    const order = new Uint32Array(count).map((_, row) => row);
    order.sort((a, b) => keys[2 * a + 1] - keys[2 * b + 1] || keys[2 * a] - keys[2 * b]);
    hash.update(`${layout.name}:${count}`);
    for (const row of order) {
      hash.update(bytesOf(keys.subarray(2 * row, 2 * row + 2)));
      hash.update(bytesOf(weights.subarray(row * layout.dim, (row + 1) * layout.dim)));
      hash.update(bytesOf(optimizerState.subarray(row * layout.stateFloats, (row + 1) * layout.stateFloats)));
    }
  }
}

function refuseForeign(state: PartitionState, block: GradientBlock): void {
  const wanted = `${state.model}/${state.partition} (${state.fingerprint})`;
  if (
    block.model !== state.model ||
    block.partition !== state.partition ||
    block.fingerprint !== state.fingerprint
  ) {
    const found = `${block.model}/${block.partition} (${block.fingerprint})`;
    throw new MillraceError(
      'MILL_BLOCK_FOREIGN',
      `cannot apply a block: it must be for ${wanted}, got ${found}`,
    );
  }
  for (const section of block.sections) {
    const table = state.tables[section.table];
    if (!table || table.layout.dim !== section.dim || (table.layout.needsCurvature && !section.curvature)) {
      throw new MillraceError(
        'MILL_BLOCK_FOREIGN',
        `cannot apply a block: ${wanted} has no table ${section.table} of this form`,
      );
    }
  }
}

function applySection(state: PartitionState, section: GradientSection): void {
  const { table, dim, count, keys, gradients, curvature } = section;
  for (let i = 0; i < count; i += 1) {
    stepRow(state, table, keys[2 * i], keys[2 * i + 1], gradients, curvature, i * dim);
  }
}
