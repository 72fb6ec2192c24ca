/**
 * Takes rows out of a table. The index closes the gap by moving back what had been pushed on (backward-shift deletion, so there
 * are no tombstones and a lookup stays as short as it was); the last row moves into the place of the one that went, so arenas
 * have no holes. Keys that went are kept until the change marks are cleared, since a delta snapshot has to name them.
 */
import { insertSlot, markChanged, type RowTable, repackTable, slotOf } from './row-table.ts';

/** Below this share of what a table has room for, it gives room back. */
const shrinkBelow = 1 / 8;
/** Smaller tables stay as large as they are: what they hold is not worth a copy. */
const rowsShrunkMin = 64;
/** Keys that went and are remembered, at least; beyond these and as many as there are rows, a full snapshot is smaller. */
const goneMin = 1_024;

/** Removes row `row`; the last row takes its place. */
export function removeRow(table: RowTable, row: number): void {
  const { keys, weights, state, layout } = table;
  const { dim, stateFloats } = layout;
  noteGone(table, keys[2 * row], keys[2 * row + 1]);
  freeSlot(table, slotOfKey(table, keys[2 * row], keys[2 * row + 1]));
  const last = table.count - 1;
  if (row !== last) {
    table.slots[(slotOfKey(table, keys[2 * last], keys[2 * last + 1]) << 2) + 2] = row + 1;
    keys.copyWithin(2 * row, 2 * last, 2 * last + 2);
    weights.copyWithin(row * dim, last * dim, (last + 1) * dim);
    state.copyWithin(row * stateFloats, last * stateFloats, (last + 1) * stateFloats);
    if ((table.changed[last >>> 5] & (1 << (last & 31))) !== 0) markChanged(table, row);
    else table.changed[row >>> 5] &= ~(1 << (row & 31));
  }
  table.changed[last >>> 5] &= ~(1 << (last & 31));
  table.count = last;
}

/** Removes the row of a key, if there is one. */
export function removeKey(table: RowTable, low: number, high: number): void {
  const slot = slotOfKey(table, low, high);
  if (slot >= 0) removeRow(table, table.slots[(slot << 2) + 2] - 1);
}

/**
 * Gives a row to another key, which has none; its floats stay as they are, to be overwritten. For tables that hold copies: no
 * other row moves, and nothing is noted as gone.
 */
export function replaceKey(table: RowTable, row: number, low: number, high: number): void {
  const { keys } = table;
  freeSlot(table, slotOfKey(table, keys[2 * row], keys[2 * row + 1]));
  keys[2 * row] = low;
  keys[2 * row + 1] = high;
  insertSlot(table, low, high, row);
}

/** Gives room back where a table has become much smaller than it was. */
export function shrinkRows(table: RowTable): void {
  if (table.count >= rowsShrunkMin && table.count < (table.mask + 1) * shrinkBelow)
    repackTable(table, 2 * table.count);
}

/** The slot in which a key lies, −1 when it has no row. */
function slotOfKey({ slots, mask, shift }: RowTable, low: number, high: number): number {
  let slot = slotOf(low, high, shift);
  while (slots[(slot << 2) + 2] !== 0) {
    if (slots[slot << 2] === low && slots[(slot << 2) + 1] === high) return slot;
    slot = (slot + 1) & mask;
  }
  return -1;
}

/** Frees a slot and moves back each key behind it that may lie nearer to its home. */
function freeSlot({ slots, mask, shift }: RowTable, freed: number): void {
  let hole = freed;
  for (let next = (hole + 1) & mask; slots[(next << 2) + 2] !== 0; next = (next + 1) & mask) {
    const home = slotOf(slots[next << 2], slots[(next << 2) + 1], shift);
    if (((next - home) & mask) < ((next - hole) & mask)) continue;
    slots.copyWithin(hole << 2, next << 2, (next << 2) + 3);
    hole = next;
  }
  slots[(hole << 2) + 2] = 0;
}

function noteGone(table: RowTable, low: number, high: number): void {
  if (table.goneCount < 0) return;
  if (table.goneCount >= Math.max(goneMin, table.count)) {
    table.goneCount = -1;
    table.gone = new Uint32Array(0);
    return;
  }
  if (2 * table.goneCount === table.gone.length) {
    const larger = new Uint32Array(Math.max(64, 2 * table.gone.length));
    larger.set(table.gone);
    table.gone = larger;
  }
  table.gone[2 * table.goneCount] = low;
  table.gone[2 * table.goneCount + 1] = high;
  table.goneCount += 1;
}
