/**
 * The rows of one table in one partition: an open-addressing index over arenas of floats.
 *
 *   slots    uint32[4 · slots]   key low, key high, row + 1 (0: free), 0     16 bytes, so a probe is one cache line
 *   keys     uint32[2 · rows]    key of each row, in order of creation
 *   weights  float32[dim · rows] what pulls copy
 *   state    float32[stateFloats · rows]
 *   changed  a bit a row: stepped, added or put since the marks were last cleared; what a delta snapshot takes
 *
 *   gone     uint32[2 · …]       keys whose rows went since the marks were last cleared (remove-row.ts)
 *
 * Linear probing at a load of at most 0.6: longer chains cost more than the memory saved. A key's home slot is the top bits of
 * its hash, so slots are nearly ordered by hash, which the sweep of expiry goes by. A row keeps its index until it or another
 * one is removed; arenas grow by doubling. One writer, and JavaScript runs it between reads, so reads never wait (I8).
 * Looking many keys up goes in passes, touchSlots then resolveRows, so that cache misses overlap; findRow is the plain twin.
 */
import type { SegmentView } from './optimizer/optimizer.ts';
import { type TableLayout, writeInitialRow } from './table-layout.ts';

const firstRows = 16;
const loadMax = 0.6;
/** 2^28 rows of one partition: slots of 4 GiB, the largest typed array that every platform gives. */
const rowsMax = 2 ** 28;

export interface RowTable {
  readonly layout: TableLayout;
  slots: Uint32Array;
  /** slots − 1, a power of two minus one. */
  mask: number;
  /** 32 − log2(slots): what a hash is shifted by to give its home slot. */
  shift: number;
  keys: Uint32Array;
  weights: Float32Array;
  /** The weights two by two, for copying; null where dim is odd. */
  pairs: Float64Array | null;
  state: Float32Array;
  /** The same memory as words, for clocks. */
  stateWords: Uint32Array;
  /** uint32[rows / 32], bit row mod 32 of word row / 32; bits of rows that are not there are 0. */
  changed: Uint32Array;
  count: number;
  gone: Uint32Array;
  /** Keys in `gone`; −1: so many went that they were not noted. */
  goneCount: number;
}

export function createRowTable(layout: TableLayout): RowTable {
  const slots = slotsFor(firstRows);
  const weights = new Float32Array(layout.dim * firstRows);
  const state = new Float32Array(layout.stateFloats * firstRows);
  return {
    layout,
    slots: new Uint32Array(4 * slots),
    mask: slots - 1,
    shift: shiftFor(slots),
    keys: new Uint32Array(2 * firstRows),
    weights,
    pairs: pairsOf(weights, layout.dim),
    state,
    stateWords: new Uint32Array(state.buffer),
    changed: new Uint32Array(wordsFor(firstRows)),
    count: 0,
    gone: new Uint32Array(0),
    goneCount: 0,
  };
}

/** Bytes of all arenas. */
export function rowTableBytes(table: RowTable): number {
  const { slots, keys, weights, state, changed, gone } = table;
  return [slots, keys, weights, state, changed, gone].reduce(
    (bytes, { byteLength }) => bytes + byteLength,
    0,
  );
}

/** Row of a key, −1 when there is none. */
export function findRow(table: RowTable, low: number, high: number): number {
  return rowFrom(table, homeOf(table, low, high), low, high);
}

/** Where in `slots` the home slot of a key begins. */
export function homeOf(table: RowTable, low: number, high: number): number {
  return slotOf(low, high, table.shift) << 2;
}

/** Row of a key whose home slot begins at `home`, −1 when there is none. */
export function rowFrom(table: RowTable, home: number, low: number, high: number): number {
  const { slots } = table;
  const atMask = (table.mask << 2) | 3;
  let at = home;
  let row = slots[at + 2] | 0;
  while (row !== 0 && (slots[at] !== low || slots[at + 1] !== high)) {
    at = (at + 4) & atMask;
    row = slots[at + 2] | 0;
  }
  return row - 1;
}

/**
 * Rows of many keys, −1 where there is none.
 * @param keys  uint32[2 · count], low and high words.
 * @param rows  int32[count], written.
 */
export function lookupRows(table: RowTable, keys: Uint32Array, count: number, rows: Int32Array): void {
  touchSlots(table, keys, 0, count, rows);
  resolveRows(table, keys, 0, count, rows);
}

/**
 * First pass of a lookup: fetches the home slot of every key. Nearly all of these loads are cache misses. No branch depends
 * on what is loaded and a step is a handful of instructions, so that as many as the processor can hold are under way at
 * once; hashing in the same loop would halve them, comparing at once would leave one.
 * @param keys   uint32[2 · to or more]; keys from … to − 1 are meant.
 * @param homes  int32[to or more]; homes[from … to) are written with where in `slots` the home slot begins.
 * @returns a mix of what was loaded. Keep it somewhere, or the compiler drops the loads.
 */
export function touchSlots(
  table: RowTable,
  keys: Uint32Array,
  from: number,
  to: number,
  homes: Int32Array,
): number {
  const { slots, shift } = table;
  for (let i = from; i < to; i += 1) homes[i] = slotOf(keys[2 * i], keys[2 * i + 1], shift) << 2;
  let mix = 0;
  let i = from;
  for (; i + 4 <= to; i += 4) {
    mix ^= slots[homes[i]] ^ slots[homes[i + 1]] ^ slots[homes[i + 2]] ^ slots[homes[i + 3]];
  }
  for (; i < to; i += 1) mix ^= slots[homes[i]];
  return mix;
}

/**
 * Second pass of a lookup: rows[from … to), which touchSlots left as homes, become rows, −1 where there is none. What it
 * reads is in the cache by now, so a wrongly foreseen comparison costs little.
 */
export function resolveRows(
  table: RowTable,
  keys: Uint32Array,
  from: number,
  to: number,
  rows: Int32Array,
): void {
  for (let i = from; i < to; i += 1) rows[i] = rowFrom(table, rows[i], keys[2 * i], keys[2 * i + 1]);
}

/** Row of a key, created with its first values when there is none. */
export function findOrAddRow(table: RowTable, low: number, high: number): number {
  const row = findRow(table, low, high);
  return row >= 0 ? row : addRow(table, low, high);
}

/** Makes room for so many rows in all, at once. */
export function reserveRows(table: RowTable, rows: number): void {
  if (2 * rows > table.keys.length) growRows(table, rows);
  if (rows > (table.mask + 1) * loadMax) growSlots(table, rows);
}

/** Rows that the table holds without growing: no row moves and no slot until there are more. */
export function rowsReserved(table: RowTable): number {
  return Math.min(table.keys.length / 2, Math.floor((table.mask + 1) * loadMax));
}

/** Notes that a row is no longer as it was when the marks were cleared. */
export function markChanged(table: RowTable, row: number): void {
  table.changed[row >>> 5] |= 1 << (row & 31);
}

/** From here on no row counts as changed, and none as gone. */
export function clearChanged(table: RowTable): void {
  table.changed.fill(0);
  table.gone = new Uint32Array(0);
  table.goneCount = 0;
}

/** Rows that changed and keys that went since the marks were cleared; Infinity when the latter were too many to note. */
export function changesOf(table: RowTable): number {
  return table.goneCount < 0 ? Number.POSITIVE_INFINITY : changedCount(table) + table.goneCount;
}

/** Rows changed since the marks were cleared. */
export function changedCount(table: RowTable): number {
  let count = 0;
  for (const word of table.changed) count += bitsOf(word);
  return count;
}

/** Adds a row without values for a key that has none; it is marked as changed. */
export function addKey(table: RowTable, low: number, high: number): number {
  const row = table.count;
  reserveRows(table, row + 1);
  table.count += 1;
  table.keys[2 * row] = low;
  table.keys[2 * row + 1] = high;
  insertSlot(table, low, high, row);
  markChanged(table, row);
  return row;
}

/** Adds a row with first values for a key that has none. */
export function addRow(table: RowTable, low: number, high: number): number {
  const row = addKey(table, low, high);
  const { layout } = table;
  writeInitialRow(layout, low, high, table.weights, row * layout.dim);
  startState(table, row);
  return row;
}

const view: SegmentView = { w: new Float32Array(0), wAt: 0, s: new Float32Array(0), sAt: 0, dim: 0 };

/** Sets a row's optimizer state to what its weights start with; its clock, if it has one, does not run yet. */
export function startState(table: RowTable, row: number): void {
  const { layout, weights, state } = table;
  view.w = weights;
  view.s = state;
  for (const segment of layout.segments) {
    view.wAt = row * layout.dim + segment.weightsAt;
    view.sAt = row * layout.stateFloats + segment.stateAt;
    view.dim = segment.dim;
    segment.optimizer.start(view);
  }
  if (layout.expiry)
    table.stateWords.fill(0, row * layout.stateFloats + layout.clockAt, (row + 1) * layout.stateFloats);
}

/** Copies what there is into arenas and slots with room for `rows` rows, no fewer than there are. */
export function repackTable(table: RowTable, rows: number): void {
  let room = firstRows;
  while (room < Math.max(rows, table.count)) room *= 2;
  moveRows(table, room);
  fillSlots(table, slotsFor(room));
}

/** Doubles the arenas until they hold `wanted` rows. */
function growRows(table: RowTable, wanted: number): void {
  let rows = table.keys.length;
  while (rows < wanted) rows *= 2;
  if (rows > rowsMax)
    throw new RangeError(`table ${table.layout.name}: more than ${rowsMax} rows in one partition`);
  moveRows(table, rows);
}

/** Moves the rows into arenas for `rows` of them. */
function moveRows(table: RowTable, rows: number): void {
  const { count, layout } = table;
  const keys = new Uint32Array(2 * rows);
  keys.set(table.keys.subarray(0, 2 * count));
  const weights = new Float32Array(layout.dim * rows);
  weights.set(table.weights.subarray(0, layout.dim * count));
  const state = new Float32Array(layout.stateFloats * rows);
  state.set(table.state.subarray(0, layout.stateFloats * count));
  const changed = new Uint32Array(wordsFor(rows));
  changed.set(table.changed.subarray(0, wordsFor(count)));
  table.changed = changed;
  table.keys = keys;
  table.weights = weights;
  table.pairs = pairsOf(weights, layout.dim);
  table.state = state;
  table.stateWords = new Uint32Array(state.buffer);
}

function pairsOf(weights: Float32Array, dim: number): Float64Array | null {
  return dim % 2 === 0 ? new Float64Array(weights.buffer) : null;
}

/** Doubles the slots until `wanted` rows load them lightly enough. */
function growSlots(table: RowTable, wanted: number): void {
  fillSlots(table, Math.max(2 * (table.mask + 1), slotsFor(wanted)));
}

function fillSlots(table: RowTable, slots: number): void {
  table.slots = new Uint32Array(4 * slots);
  table.mask = slots - 1;
  table.shift = shiftFor(slots);
  for (let row = 0; row < table.count; row += 1)
    insertSlot(table, table.keys[2 * row], table.keys[2 * row + 1], row);
}

/** Enters a key, which has no slot yet, with its row. */
export function insertSlot({ slots, mask, shift }: RowTable, low: number, high: number, row: number): void {
  let slot = slotOf(low, high, shift);
  while (slots[(slot << 2) + 2] !== 0) slot = (slot + 1) & mask;
  const at = slot << 2;
  slots[at] = low;
  slots[at + 1] = high;
  slots[at + 2] = row + 1;
}

/** Home slot of a key: the top bits of its hash. */
export function slotOf(low: number, high: number, shift: number): number {
  return mixOf(low, high) >>> shift;
}

/** Hash of a key, uint32. Keys are hashes already; one multiply keeps keys made by other means from clustering. */
export function mixOf(low: number, high: number): number {
  const mixed = Math.imul(low ^ Math.imul(high, 0x85ebca6b), 0x9e3779b1);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}

/** There are always two slots or more, so it is below 32. */
function shiftFor(slots: number): number {
  return Math.clz32(slots - 1);
}

function slotsFor(rows: number): number {
  let slots = 1;
  while (rows > slots * loadMax) slots *= 2;
  return slots;
}

function wordsFor(rows: number): number {
  return (rows + 31) >>> 5;
}

/** Bits set in a word. */
function bitsOf(word: number): number {
  let bits = word - ((word >>> 1) & 0x5555_5555);
  bits = (bits & 0x3333_3333) + ((bits >>> 2) & 0x3333_3333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}
