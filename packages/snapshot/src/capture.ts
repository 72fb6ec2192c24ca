/**
 * Snapshots of a state, block by block. A generator, so that the process does something else between two blocks; nothing
 * may apply to the state until it has ended, reads may go on.
 */
import { changedCount, type DenseState, type PartitionState, type RowTable } from '@millrace/core';
import { invariant, type Sequence } from '@millrace/protocol';
import {
  type BlockPlace,
  bodyBytesWanted,
  checksumOf,
  encodeAdmission,
  encodeEnd,
  encodeFloats,
  encodeGone,
  encodeRows,
} from './snapshot-blocks.ts';
import { encodeHeader, type SnapshotHeader } from './snapshot-header.ts';

/**
 * Blocks of a snapshot of a partition as it is, the caller's to keep. The marks stay: clear them when the generator has
 * ended, before the next message is applied (core clearChanged).
 * What admission remembers is whole in each: it is bounded, and nearly all of it changes.
 * @param base null: every row; else the sequence of the snapshot at which the marks were cleared: rows changed since, and the
 *   keys whose rows went, which must have been noted (core changesOf).
 */
export function* capturePartition(state: PartitionState, base: Sequence | null): Generator<Uint8Array> {
  const rowsOf = (table: RowTable) => (base === null ? table.count : changedCount(table));
  const goneOf = (table: RowTable) => (base === null ? 0 : table.goneCount);
  invariant(
    base === null || state.tables.every(({ goneCount }) => goneCount >= 0),
    'a delta names what went',
  );
  const memories = state.lives.map(({ admission }) => admission?.words() ?? new Uint32Array(0));
  const seal = yield* begin({
    model: state.model,
    fingerprint: state.fingerprint,
    fold: state.partition,
    sequence: state.sequence,
    base,
    producers: [...state.producers].sort(byName),
    counts: state.counts,
    tables: state.tables.map((table, t) => ({
      name: table.layout.name,
      dim: table.layout.dim,
      stateFloats: table.layout.stateFloats,
      rows: rowsOf(table),
      rowsAfter: table.count,
      gone: goneOf(table),
      admissionWords: memories[t].length,
      sweep: state.lives[t].sweep,
    })),
    floats: [0, 0],
    eventTimeMs: state.eventTimeMs,
    requires: requiredBy(state),
  });
  for (const [place, table] of state.tables.entries()) {
    yield* goneKeys(table, place, goneOf(table), seal);
    yield* memory(memories[place], place, seal);
    yield* base === null ? allRows(table, place, seal) : changedRows(table, place, seal);
  }
  yield seal.end();
}

/** Blocks of a snapshot of the dense weights as they are, the caller's to keep. */
export function* captureDense(state: DenseState): Generator<Uint8Array> {
  const { weights, optimizerState } = state;
  const seal = yield* begin({
    model: state.model,
    fingerprint: state.fingerprint,
    fold: 'dense',
    sequence: state.sequence,
    base: null,
    producers: [...state.producers].sort(byName),
    counts: state.counts,
    tables: [],
    floats: [weights.length, optimizerState.length],
    eventTimeMs: 0,
    requires: [],
  });
  const floatsMax = bodyBytesWanted / 4;
  for (const [array, values] of [['weights', weights] as const, ['state', optimizerState] as const]) {
    for (let at = 0; at < values.length; at += floatsMax) {
      const floats = values.subarray(at, at + floatsMax);
      yield seal.block((place) => encodeFloats(place, { array, at, floats }));
    }
  }
  yield seal.end();
}

interface Seal {
  /** The next block, counted and remembered. */
  block(encode: (place: BlockPlace) => Uint8Array): Uint8Array;
  end(): Uint8Array;
}

function* begin(header: SnapshotHeader): Generator<Uint8Array, Seal> {
  const first = encodeHeader(header);
  const of = checksumOf(first);
  const checksums = [of];
  yield first;
  return {
    block: (encode) => {
      const block = encode({ of, place: checksums.length });
      checksums.push(checksumOf(block));
      return block;
    },
    end: () => encodeEnd({ of, place: checksums.length }, checksums),
  };
}

/** What a reader must understand of the tables, so that one which does not refuses the snapshot. */
function requiredBy({ tables }: PartitionState): readonly string[] {
  return [
    ...(tables.some(({ layout }) => layout.admission) ? ['admission'] : []),
    ...(tables.some(({ layout }) => layout.expiry) ? ['expiry'] : []),
  ];
}

function* goneKeys({ gone }: RowTable, table: number, count: number, seal: Seal): Generator<Uint8Array> {
  const keysMax = bodyBytesWanted / 8;
  for (let at = 0; at < count; at += keysMax) {
    const keys = gone.subarray(2 * at, 2 * Math.min(count, at + keysMax));
    yield seal.block((blockPlace) => encodeGone(blockPlace, { table, keys }));
  }
}

function* memory(words: Uint32Array, table: number, seal: Seal): Generator<Uint8Array> {
  const wordsMax = bodyBytesWanted / 4;
  for (let at = 0; at < words.length; at += wordsMax) {
    const part = words.subarray(at, at + wordsMax);
    yield seal.block((blockPlace) => encodeAdmission(blockPlace, { table, at, words: part }));
  }
}

function* allRows(table: RowTable, place: number, seal: Seal): Generator<Uint8Array> {
  const { keys, weights, state, count: rows, layout } = table;
  const { dim, stateFloats } = layout;
  const rowsMax = rowsMaxOf(table);
  for (let at = 0; at < rows; at += rowsMax) {
    const end = Math.min(rows, at + rowsMax);
    const part = {
      table: place,
      count: end - at,
      keys: keys.subarray(2 * at, 2 * end),
      weights: weights.subarray(dim * at, dim * end),
      state: state.subarray(stateFloats * at, stateFloats * end),
    };
    yield seal.block((blockPlace) => encodeRows(blockPlace, part));
  }
}

function* changedRows(table: RowTable, place: number, seal: Seal): Generator<Uint8Array> {
  const { dim, stateFloats } = table.layout;
  const rowsMax = Math.min(rowsMaxOf(table), changedCount(table));
  const rows = new Uint32Array(rowsMax);
  const keys = new Uint32Array(2 * rowsMax);
  const weights = new Float32Array(dim * rowsMax);
  const state = new Float32Array(stateFloats * rowsMax);
  for (let row = nextChanged(table, 0); row < table.count; ) {
    let count = 0;
    for (; row < table.count && count < rowsMax; row = nextChanged(table, row + 1)) {
      rows[count] = row;
      count += 1;
    }
    // One array after the other: a row of each is a cache miss, and in a loop that does little else they overlap.
    gatherWords(table.keys, rows, count, keys, 2);
    gatherWords(table.weights, rows, count, weights, dim);
    gatherWords(table.state, rows, count, state, stateFloats);
    const part = {
      table: place,
      count,
      keys: keys.subarray(0, 2 * count),
      weights: weights.subarray(0, dim * count),
      state: state.subarray(0, stateFloats * count),
    };
    yield seal.block((blockPlace) => encodeRows(blockPlace, part));
  }
}

/** The first changed row at or after `from`; the table's count when there is none. */
function nextChanged({ changed, count }: RowTable, from: number): number {
  for (let word = from >>> 5; word < changed.length; word += 1) {
    const bits = word === from >>> 5 ? changed[word] & (-1 << (from & 31)) : changed[word];
    if (bits !== 0) return 32 * word + (31 - Math.clz32(bits & -bits));
  }
  return count;
}

/** Moves bits, not numbers: what is no number keeps its bits too. */
function gatherWords(
  source: Uint32Array | Float32Array,
  rows: Uint32Array,
  count: number,
  target: Uint32Array | Float32Array,
  width: number,
): void {
  const words = new Uint32Array(source.buffer, source.byteOffset, source.length);
  const out = new Uint32Array(target.buffer, target.byteOffset, target.length);
  for (let i = 0; i < count; i += 1) {
    const at = rows[i] * width;
    for (let d = 0; d < width; d += 1) out[i * width + d] = words[at + d];
  }
}

function rowsMaxOf({ layout: { dim, stateFloats } }: RowTable): number {
  return Math.max(1, Math.floor(bodyBytesWanted / (4 * (2 + dim + stateFloats))));
}

function byName([a]: readonly [string, number], [b]: readonly [string, number]): number {
  return a < b ? -1 : 1;
}
