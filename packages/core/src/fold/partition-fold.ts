/**
 * The apply rule: one partition's state is the fold of its gradient log (I1), nothing else changes it.
 *
 *   state(p, s) = fold(applyGradients, empty, log(p, 1 … s])
 *
 * A block steps rows by their gradients, or puts them whole (apply-put.ts). Which keys get rows (admission/) and which rows go
 * (expiry/) is decided here too, by the block and the state. Pure and deterministic (I2): what a message does depends on the
 * message and the state alone. A message is applied at most once per producer sequence (I3). Damaged and foreign ones are
 * counted and passed over, the same way on every owner.
 */
import {
  decodePartitionBlock,
  type GradientBlock,
  type GradientSection,
  isMillraceError,
  MillraceError,
  type PartitionBlock,
} from '@millrace/protocol';
import type { Admission } from '../admission/admission.ts';
import { createAdmission } from '../admission/create-admission.ts';
import { type SweepPlace, sweepTable } from '../expiry/sweep.ts';
import { createRowTable, type RowTable, rowTableBytes } from '../row-table.ts';
import type { TableLayout } from '../table-layout.ts';
import { applyPutSection, fitsPut } from './apply-put.ts';
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
  /** One a table. */
  readonly lives: readonly RowLife[];
  /** Newest event time of any block, Unix ms; 0: none was told. Kept where a table expires. */
  eventTimeMs: number;
  readonly counts: PartitionCounts;
}

/** What is remembered of a table's rows that come and go. */
export interface RowLife {
  /** Null: every key gets a row at once. */
  readonly admission: Admission | null;
  readonly sweep: SweepPlace;
}

/** Blocks applied, repeated, refused (damaged or foreign), and rows passed over for numbers that are not finite. */
export type PartitionCounts = {
  applied: number;
  duplicates: number;
  rejected: number;
  brokenRows: number;
  /** Gradients dropped since their key had no row and got none; there where a table admits. */
  notAdmitted?: number;
  /** Rows that went; there where a table expires. */
  expired?: number;
};

export type ApplyOutcome =
  | { readonly kind: 'applied'; readonly block: PartitionBlock }
  /** Delivered again by the transport; the state stands at or beyond it. */
  | { readonly kind: 'stale' }
  /** Published again by its producer. */
  | { readonly kind: 'duplicate' }
  /** Its predecessor is missing; nothing was changed. Read again from the state's sequence, then accept. */
  | { readonly kind: 'gap'; readonly block: PartitionBlock }
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
    lives: layouts.map(({ admission, seed }) => ({
      admission: admission && createAdmission(admission, seed),
      sweep: { at: 0, rows: 0 },
    })),
    eventTimeMs: 0,
    counts: {
      ...{ applied: 0, duplicates: 0, rejected: 0, brokenRows: 0 },
      ...(layouts.some(({ admission }) => admission) && { notAdmitted: 0 }),
      ...(layouts.some(({ expiry }) => expiry) && { expired: 0 }),
    },
  };
}

/**
 * Applies one log message.
 * @param message.payload  a gradient block or a put block (protocol/log-block.ts); only read.
 * @param onGap  'report' leaves the state alone when a predecessor is missing; 'accept' applies all the same, for when a
 *   second read has shown that the log itself lacks it.
 */
export function applyGradients(
  state: PartitionState,
  message: { readonly sequence: number; readonly payload: Uint8Array },
  onGap: 'report' | 'accept',
): ApplyOutcome {
  if (message.sequence <= state.sequence) return { kind: 'stale' };
  let block: PartitionBlock;
  try {
    block = decodePartitionBlock(message.payload);
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
  applyRows(state, block);
  state.producers.set(block.producer, block.sequence);
  state.counts.applied += 1;
  return { kind: 'applied', block };
}

/** Rows of all tables. */
export function partitionRows(state: PartitionState): number {
  return state.tables.reduce((rows, table) => rows + table.count, 0);
}

/** Bytes of all arenas and of what admission remembers. */
export function partitionBytes(state: PartitionState): number {
  return state.tables.reduce(
    (bytes, table, t) => bytes + rowTableBytes(table) + (state.lives[t].admission?.bytes() ?? 0),
    0,
  );
}

function refuseForeign(state: PartitionState, block: PartitionBlock): void {
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
    const layout = state.tables[section.table]?.layout;
    const fits = 'gradients' in section ? fitsGradients : fitsPut;
    if (!layout || !fits(layout, section as never)) {
      throw new MillraceError(
        'MILL_BLOCK_FOREIGN',
        `cannot apply a block: ${wanted} has no table ${section.table} of this form`,
      );
    }
  }
}

function fitsGradients({ dim, needsCurvature }: TableLayout, section: GradientSection): boolean {
  return dim === section.dim && (!needsCurvature || Boolean(section.curvature));
}

function applyRows(state: PartitionState, block: PartitionBlock): void {
  if (isGradients(block)) {
    if (block.eventTimeMs) noteEventTime(state, block.eventTimeMs);
    for (const section of block.sections) applySection(state, section);
  } else {
    for (const section of block.sections)
      state.counts.brokenRows += applyPutSection(state.tables[section.table], section, state.eventTimeMs);
  }
  sweepPartition(state);
}

/** Its decoder always says an event time, null where there is none. */
function isGradients(block: PartitionBlock): block is GradientBlock {
  return 'eventTimeMs' in block;
}

function applySection(state: PartitionState, section: GradientSection): void {
  const { table, dim, count, keys, gradients, curvature, occurrences } = section;
  for (let i = 0; i < count; i += 1) {
    const seen = occurrences ? Math.max(1, occurrences[i]) : 1;
    stepRow(state, table, keys[2 * i], keys[2 * i + 1], gradients, curvature, i * dim, seen);
  }
}

/** Before the rows of a batch are stepped: time goes on, and never back. Kept where a table expires. */
export function noteEventTime(state: PartitionState, timeMs: number): void {
  if (state.counts.expired !== undefined) state.eventTimeMs = Math.max(state.eventTimeMs, timeMs);
}

/** After the rows of a batch are stepped: looks at some rows of each table that expires, and lets go of those that are over. */
export function sweepPartition(state: PartitionState): void {
  const { tables, lives, eventTimeMs, counts } = state;
  if (counts.expired === undefined) return;
  for (let t = 0; t < tables.length; t += 1) {
    if (tables[t].layout.expiry) counts.expired += sweepTable(tables[t], lives[t].sweep, eventTimeMs);
  }
}
