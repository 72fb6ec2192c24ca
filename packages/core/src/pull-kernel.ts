/**
 * Reading many rows at once. Keys come in the caller's order and fall on many partitions; the kernel
 *
 *   1  counts the keys of each partition and places them side by side (a counting sort),
 *   2  looks all keys of one partition up together (row-table.ts),
 *   3  copies each row to the caller's place; a key without a row gets its first values and creates nothing.
 *
 * pullRowsPlainly is the twin that a test compares it with. Scratch memory is kept between calls and grows with the
 * largest pull, which the protocol bounds.
 */

import { partitionOf } from './key-hash.ts';
import { findRow, lookupRows, type RowTable } from './row-table.ts';
import { writeInitialRow } from './table-layout.ts';

let room = 0;
let partitionOfKey = new Uint16Array(0);
let sortedKeys = new Uint32Array(0);
let sortedPlaces = new Uint32Array(0);
let foundRows = new Int32Array(0);
const starts = new Uint32Array(4_097);

/**
 * @param tables    one table's arenas by partition; null where the partition is not here.
 * @param keys      uint32[2 · count].
 * @param out       float32, rows of `dim` floats in key order from `outAt`; written.
 * @param touched   uint16[partitions or more]: written with the partitions met, ascending.
 * @returns how many partitions were met, or −1 − p when partition p is not here (nothing useful is written then).
 */
export function pullRows(
  tables: readonly (RowTable | null)[],
  keys: Uint32Array,
  count: number,
  out: Float32Array,
  outAt: number,
  touched: Uint16Array,
): number {
  reserve(count);
  const met = sortByPartition(tables, keys, count, touched);
  if (met < 0) return met;
  for (let t = 0; t < met; t += 1) {
    const partition = touched[t];
    const from = partition === 0 ? 0 : starts[partition - 1];
    copyRows(tables[partition] as RowTable, from, starts[partition], out, outAt);
  }
  return met;
}

/** Fills sortedKeys and sortedPlaces; afterwards starts[p] is the end of partition p's run. */
function sortByPartition(
  tables: readonly (RowTable | null)[],
  keys: Uint32Array,
  count: number,
  touched: Uint16Array,
): number {
  const partitions = tables.length;
  starts.fill(0, 0, partitions);
  for (let i = 0; i < count; i += 1) {
    const partition = partitionOf(keys[2 * i], keys[2 * i + 1], partitions);
    partitionOfKey[i] = partition;
    starts[partition] += 1;
  }
  let met = 0;
  let start = 0;
  for (let partition = 0; partition < partitions; partition += 1) {
    const keysHere = starts[partition];
    starts[partition] = start;
    start += keysHere;
    if (keysHere === 0) continue;
    if (tables[partition] === null) return -1 - partition;
    touched[met] = partition;
    met += 1;
  }
  for (let i = 0; i < count; i += 1) {
    const place = starts[partitionOfKey[i]]++;
    sortedKeys[2 * place] = keys[2 * i];
    sortedKeys[2 * place + 1] = keys[2 * i + 1];
    sortedPlaces[place] = i;
  }
  return met;
}

function copyRows(table: RowTable, from: number, to: number, out: Float32Array, outAt: number): void {
  const { weights, layout } = table;
  const { dim } = layout;
  const keys = sortedKeys.subarray(2 * from, 2 * to);
  lookupRows(table, keys, to - from, foundRows);
  for (let i = from; i < to; i += 1) {
    const row = foundRows[i - from];
    const target = outAt + sortedPlaces[i] * dim;
    if (row < 0) {
      writeInitialRow(layout, sortedKeys[2 * i], sortedKeys[2 * i + 1], out, target);
      continue;
    }
    const source = row * dim;
    for (let d = 0; d < dim; d += 1) out[target + d] = weights[source + d];
  }
}

/** The plain twin of pullRows: key after key. Returns false when a partition is not here. */
export function pullRowsPlainly(
  tables: readonly (RowTable | null)[],
  keys: Uint32Array,
  count: number,
  out: Float32Array,
): boolean {
  for (let i = 0; i < count; i += 1) {
    const low = keys[2 * i];
    const high = keys[2 * i + 1];
    const table = tables[partitionOf(low, high, tables.length)];
    if (!table) return false;
    const { dim } = table.layout;
    const row = findRow(table, low, high);
    if (row < 0) writeInitialRow(table.layout, low, high, out, i * dim);
    else out.set(table.weights.subarray(row * dim, (row + 1) * dim), i * dim);
  }
  return true;
}

function reserve(count: number): void {
  if (count <= room) return;
  room = Math.max(1_024, 2 ** Math.ceil(Math.log2(count)));
  partitionOfKey = new Uint16Array(room);
  sortedKeys = new Uint32Array(2 * room);
  sortedPlaces = new Uint32Array(room);
  foundRows = new Int32Array(room);
}
