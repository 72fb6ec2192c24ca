/**
 * Tells those who keep copies of rows which rows the log changed, and what they are now (protocol/row-update.ts).
 *
 *   apply ── begin, end: the keys that it touched ──▶ noted by partition ── a moment later ──▶ notices
 *
 * Applying only notes keys; weights are read when a notice is made, between two blocks, so they are those of the sequence
 * that the notice names. Nothing is noted while nobody wants it, or while another owner tells of the partition. A note that
 * cannot be told whole (other state, a block applied unnoted) is dropped: whoever listens finds the gap in the sequences.
 */
import { findRow, type PartitionState, type RowTable, writeInitialRow } from '@millrace/core';
import {
  encodeRowUpdate,
  modelNameFrom,
  type PartitionUpdate,
  type RowUpdateSection,
  rowsSubject,
  rowsWantedMs,
  rowsWantedSubject,
  rowUpdateBytes,
  rowUpdateKeysMax,
} from '@millrace/protocol';
import type { Bus, Clock, Timer } from '@millrace/runtime';
import type { ApplyWatch } from './partition-follower.ts';

/** Blocks that a batch spreads over partitions come within a millisecond or two; one notice then tells of many. */
const flushDelayMs = 1;
/** Weights of one partition in one notice, bytes; keys of the rest are told without. */
const weightBytesMax = rowUpdateBytes / 2;

export interface RowUpdates extends ApplyWatch {
  close(): Promise<void>;
}

export interface RowUpdatesOptions {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly model: string;
  readonly fingerprint: number;
  /** True while this shard is to tell of a partition: it answers reads there, and is the first that does. */
  readonly tells: (partition: number) => boolean;
}

/** Keys that changed in one partition since it was last told of. */
interface Noted {
  state: PartitionState;
  previous: number;
  /** Sequence up to which everything was noted. */
  through: number;
  whole: boolean;
  /** By table. */
  readonly keys: Uint32Array[];
  readonly counts: Uint32Array;
}

export function createRowUpdates(options: RowUpdatesOptions): RowUpdates {
  const { bus, clock, model, fingerprint, tells } = options;
  const name = modelNameFrom(model);
  const subject = rowsSubject(name);
  let wantedUntilMs = Number.NEGATIVE_INFINITY;
  const wants = bus.onNotice(rowsWantedSubject(name), () => {
    wantedUntilMs = clock.monotonicMs() + rowsWantedMs;
  });
  /** In the order in which they were first touched. */
  const pending = new Map<number, Noted>();
  let timer: Timer | null = null;
  let closed = false;
  // Of the block that is being applied: one is begun and ended before the next.
  let noting = false;
  let previous = 0;
  let expired = 0;
  const goneCounts: number[] = [];

  const flush = () => {
    timer = null;
    const partitions: PartitionUpdate[] = [];
    let bytes = 0;
    for (const [partition, noted] of pending) {
      // One partition has half of the bytes at most, and its keys.
      if (bytes >= rowUpdateBytes / 2) break;
      pending.delete(partition);
      if (noted.state.sequence !== noted.through || !tells(partition)) continue;
      const update = updateFrom(noted);
      for (const { keys, weights } of update.sections) bytes += keys.byteLength + weights.byteLength;
      partitions.push(update);
    }
    if (partitions.length > 0) bus.notify(subject, encodeRowUpdate({ model, fingerprint, partitions }));
    if (pending.size > 0) timer = clock.setTimer(0, flush);
  };

  return {
    begin(state) {
      noting = !closed && clock.monotonicMs() < wantedUntilMs && tells(state.partition);
      if (!noting) return;
      previous = state.sequence;
      expired = state.counts.expired ?? 0;
      for (let t = 0; t < state.tables.length; t += 1) goneCounts[t] = state.tables[t].goneCount;
    },
    end(state, outcome) {
      if (!noting || outcome.kind === 'stale' || outcome.kind === 'gap') return;
      noting = false;
      let noted = pending.get(state.partition);
      if (noted === undefined || noted.state !== state || noted.through !== previous) {
        noted = createNoted(state, previous);
        pending.set(state.partition, noted);
      }
      noted.through = state.sequence;
      if (outcome.kind === 'applied') {
        for (const { table, keys, count } of outcome.block.sections) noteKeys(noted, table, keys, 0, count);
        if ((state.counts.expired ?? 0) > expired) noteGone(noted, goneCounts);
      }
      timer ??= clock.setTimer(flushDelayMs, flush);
    },
    async close() {
      closed = true;
      timer?.cancel();
      timer = null;
      await wants.close();
    },
  };
}

function createNoted(state: PartitionState, previous: number): Noted {
  const { length } = state.tables;
  return {
    state,
    previous,
    through: previous,
    whole: false,
    keys: Array.from({ length }, () => new Uint32Array(0)),
    counts: new Uint32Array(length),
  };
}

/** Notes keys [from, to) of a table. */
function noteKeys(noted: Noted, table: number, keys: Uint32Array, from: number, to: number): void {
  if (noted.whole) return;
  const had = noted.counts[table];
  const has = had + to - from;
  if (noted.counts.reduce((sum, count) => sum + count, to - from) > rowUpdateKeysMax) {
    noted.whole = true;
    return;
  }
  if (2 * has > noted.keys[table].length) {
    const larger = new Uint32Array(2 * Math.max(has, noted.keys[table].length));
    larger.set(noted.keys[table]);
    noted.keys[table] = larger;
  }
  noted.keys[table].set(keys.subarray(2 * from, 2 * to), 2 * had);
  noted.counts[table] = has;
}

/** Notes the keys whose rows the block let go; a table that has stopped noting them does not say which. */
function noteGone(noted: Noted, before: readonly number[]): void {
  for (const [t, { layout, gone, goneCount }] of noted.state.tables.entries()) {
    if (!layout.expiry) continue;
    if (goneCount < 0) noted.whole = true;
    else noteKeys(noted, t, gone, before[t], goneCount);
  }
}

function updateFrom({ state, previous, through, whole, keys, counts }: Noted): PartitionUpdate {
  const sections: RowUpdateSection[] = [];
  let left = weightBytesMax;
  for (let t = 0; t < counts.length && !whole; t += 1) {
    if (counts[t] === 0) continue;
    const { dim } = state.tables[t].layout;
    const rows = Math.min(counts[t], Math.floor(left / (4 * dim)));
    const weights = new Float32Array(rows * dim);
    copyCurrent(state.tables[t], keys[t], rows, weights);
    left -= weights.byteLength;
    const forgotten = counts[t] - rows;
    sections.push({ table: t, dim, rows, forgotten, keys: keys[t].subarray(0, 2 * counts[t]), weights });
  }
  return { partition: state.partition, previous, sequence: through, whole, sections };
}

/** Weights as pulls would read them now. */
function copyCurrent(table: RowTable, keys: Uint32Array, count: number, out: Float32Array): void {
  const { layout, weights } = table;
  const { dim } = layout;
  for (let i = 0; i < count; i += 1) {
    const row = findRow(table, keys[2 * i], keys[2 * i + 1]);
    if (row < 0) writeInitialRow(layout, keys[2 * i], keys[2 * i + 1], out, i * dim);
    else for (let d = 0; d < dim; d += 1) out[i * dim + d] = weights[row * dim + d];
  }
}
