/**
 * Reading many rows at once. Nearly every load of a slot or a row is a cache miss of some 100 ns; pulls are fast when many
 * are under way at once. Keys come in the caller's order and fall on many partitions; the kernel
 *
 *   1  counts the keys of each partition and places them side by side (a counting sort),
 *   2  touches the home slots of all keys, then resolves them to rows and touches those (row-table.ts, copy-rows.ts),
 *   3  copies each row to the caller's place; a key without a row gets its first values and creates nothing.
 *
 * Where keys are spread thin, 1 costs more than it saves and is left out (pull-few.ts).
 * Each pass of 2 and 3 runs over a group of partitions before the next begins: one partition may have only a key or two, too
 * few to have many misses under way; all keys of a large pull are more than the caches keep from one pass to the next.
 * pullRowsPlainly is the twin that a test compares it with. Scratch memory is kept between calls and grows with the
 * largest pull, which the protocol bounds.
 */
import { partitionsMax } from '@millrace/protocol';
import { copyRows, type RowTarget, rowTarget, touchRows } from './copy-rows.ts';
import { partitionOf } from './key-hash.ts';
import { pullFew } from './pull-few.ts';
import { findRow, type RowTable, resolveRows, touchSlots } from './row-table.ts';
import { type TableLayout, writeInitialRow } from './table-layout.ts';

/** Working memory of a pull, one entry a key. `let`, but read into locals before every loop, where it costs nothing then. */
interface Scratch {
  /** In the caller's order. */
  readonly partitions: Uint16Array;
  /** The rest: sorted by partition. Where a key stood in the caller's order, and its home slot, then its row or −1. */
  readonly keys: Uint32Array;
  readonly places: Uint32Array;
  readonly rows: Int32Array;
}

/** Rows and slots of so many keys, some 50 KiB on as many pages, stay where the processor finds them again at once. */
const groupKeysMax = 256;
/** Keys a partition, on average, below which they are read one by one; measured, both ways are as fast at three to four. */
const thinBelow = 3;
let scratch = createScratch(1_024);
/** While sorting the next place of a partition's keys, afterwards the place behind its last. */
const ends = new Uint32Array(partitionsMax);
/** Where the touching passes leave what they loaded, so that no compiler finds them useless. */
const loaded = new Float64Array(1);

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
  if (count > scratch.rows.length) scratch = createScratch(2 ** Math.ceil(Math.log2(count)));
  const met = countByPartition(tables, keys, count, touched);
  if (met <= 0) return met;
  const { layout } = tables[touched[0]] as RowTable;
  const target = rowTarget(out, outAt, count, layout.dim);
  if (count < thinBelow * met) {
    loaded[0] = pullFew(tables, scratch.partitions, keys, count, scratch.rows, target);
    return met;
  }
  sortKeys(keys, count);
  let from = 0;
  for (let t = 0; t < met; ) {
    const groupStart = from;
    const first = t;
    for (t += 1; t < met && ends[touched[t]] - groupStart <= groupKeysMax; ) t += 1;
    from = ends[touched[t - 1]];
    pullGroup(tables, touched, first, t, groupStart, target);
  }
  writeAbsentRows(layout, count, out, outAt);
  return met;
}

/** All passes over the partitions touched[first … last), whose keys begin at `groupStart` of the sorted ones. */
function pullGroup(
  tables: readonly (RowTable | null)[],
  touched: Uint16Array,
  first: number,
  last: number,
  groupStart: number,
  target: RowTarget,
): void {
  const { keys, places, rows } = scratch;
  for (let t = first, from = groupStart; t < last; t += 1) {
    const to = ends[touched[t]];
    loaded[0] = touchSlots(tables[touched[t]] as RowTable, keys, from, to, rows);
    from = to;
  }
  for (let t = first, from = groupStart; t < last; t += 1) {
    const to = ends[touched[t]];
    const table = tables[touched[t]] as RowTable;
    resolveRows(table, keys, from, to, rows);
    loaded[0] = touchRows(table, rows, from, to);
    from = to;
  }
  for (let t = first, from = groupStart; t < last; t += 1) {
    const to = ends[touched[t]];
    copyRows(tables[touched[t]] as RowTable, rows, places, from, to, target);
    from = to;
  }
}

/**
 * Finds the partition of each key; afterwards ends[p] is where the sorted keys of partition p begin.
 * @returns how many partitions were met, or −1 − p when partition p is not here.
 */
function countByPartition(
  tables: readonly (RowTable | null)[],
  keys: Uint32Array,
  count: number,
  touched: Uint16Array,
): number {
  const { partitions } = scratch;
  const partitionCount = tables.length;
  ends.fill(0, 0, partitionCount);
  for (let i = 0; i < count; i += 1) {
    const partition = partitionOf(keys[2 * i], keys[2 * i + 1], partitionCount);
    partitions[i] = partition;
    ends[partition] += 1;
  }
  let met = 0;
  let start = 0;
  for (let partition = 0; partition < partitionCount; partition += 1) {
    const keysHere = ends[partition];
    ends[partition] = start;
    start += keysHere;
    if (keysHere === 0) continue;
    if (tables[partition] === null) return -1 - partition;
    touched[met] = partition;
    met += 1;
  }
  return met;
}

/** Places the keys of each partition side by side; afterwards ends[p] is the end of those of partition p. */
function sortKeys(keys: Uint32Array, count: number): void {
  const { partitions, keys: sorted, places } = scratch;
  for (let i = 0; i < count; i += 1) {
    const place = ends[partitions[i]];
    ends[partitions[i]] = place + 1;
    sorted[2 * place] = keys[2 * i];
    sorted[2 * place + 1] = keys[2 * i + 1];
    places[place] = i;
  }
}

/** First values of the keys that no row was found for. */
function writeAbsentRows(layout: TableLayout, count: number, out: Float32Array, outAt: number): void {
  const { keys, places, rows } = scratch;
  for (let i = 0; i < count; i += 1) {
    if (rows[i] >= 0) continue;
    writeInitialRow(layout, keys[2 * i], keys[2 * i + 1], out, outAt + places[i] * layout.dim);
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

function createScratch(room: number): Scratch {
  return {
    partitions: new Uint16Array(room),
    keys: new Uint32Array(2 * room),
    places: new Uint32Array(room),
    rows: new Int32Array(room),
  };
}
