/** Rows as they were, out of a folded partition. */
import { findRow, type PartitionState, type TableLayout, writeInitialRow } from '@millrace/core';
import type { NeededKey } from './past-model.ts';

/** A copy of the row of a key in its partition; first values where nobody has learned it yet. */
export function readRow(state: PartitionState, key: NeededKey): Float32Array {
  const table = state.tables[key.table];
  const { dim } = table.layout;
  const row = findRow(table, key.low, key.high);
  return row < 0 ? firstRow(table.layout, key) : table.weights.slice(row * dim, (row + 1) * dim);
}

/** What a key has before anything is learned of it. */
export function firstRow(layout: TableLayout, key: NeededKey): Float32Array {
  const row = new Float32Array(layout.dim);
  writeInitialRow(layout, key.low, key.high, row, 0);
  return row;
}

/** Groups by a number, in order of first occurrence. */
export function grouped<T>(things: readonly T[], of: (thing: T) => number): Map<number, T[]> {
  const groups = new Map<number, T[]>();
  for (const thing of things) {
    const group = groups.get(of(thing));
    if (group) group.push(thing);
    else groups.set(of(thing), [thing]);
  }
  return groups;
}
