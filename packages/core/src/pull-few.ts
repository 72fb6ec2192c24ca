/**
 * Reads rows of keys that are spread so thin that a partition has one or two of them. The passes are those of pull-kernel.ts,
 * but go key by key in the caller's order: sorting keys and starting a loop for each partition would cost more than it saves.
 */
import { copyRow, type RowTarget } from './copy-rows.ts';
import { homeOf, type RowTable, rowFrom } from './row-table.ts';
import { writeInitialRow } from './table-layout.ts';

/**
 * @param partitions  uint16[count], partition of each key; each is there.
 * @param rows        int32[count], scratch; written.
 * @param target      where row i goes to place i.
 * @returns a mix of what was loaded on the way. Keep it somewhere, or the compiler drops the loads.
 */
export function pullFew(
  tables: readonly (RowTable | null)[],
  partitions: Uint16Array,
  keys: Uint32Array,
  count: number,
  rows: Int32Array,
  target: RowTarget,
): number {
  let mix = 0;
  for (let i = 0; i < count; i += 1) {
    const table = tables[partitions[i]] as RowTable;
    rows[i] = homeOf(table, keys[2 * i], keys[2 * i + 1]);
    mix ^= table.slots[rows[i]];
  }
  for (let i = 0; i < count; i += 1) {
    const table = tables[partitions[i]] as RowTable;
    rows[i] = rowFrom(table, rows[i], keys[2 * i], keys[2 * i + 1]);
  }
  let sum = 0;
  for (let i = 0; i < count; i += 1) {
    const { weights, layout } = tables[partitions[i]] as RowTable;
    const at = (rows[i] & ~(rows[i] >> 31)) * layout.dim;
    sum += weights[at] + weights[at + layout.dim - 1];
  }
  for (let i = 0; i < count; i += 1) {
    const table = tables[partitions[i]] as RowTable;
    const { layout } = table;
    if (rows[i] >= 0) copyRow(table, rows[i], target, i);
    else writeInitialRow(layout, keys[2 * i], keys[2 * i + 1], target.out, target.at + i * layout.dim);
  }
  return mix + sum;
}
