/**
 * The sweep that takes rows away. Each applied block looks at about `sweepRows` rows of each table that expires, so no block
 * takes long, and goes on where the one before it ended.
 *
 * The sweep goes through the keys by their hash, not through the rows as they lie: which rows a block looks at depends on the
 * set of keys and on the cursor, both part of the state, and never on the order in which rows came to lie there, which differs
 * after a restore.
 *
 *   hashes  0 ─────────[at … at + width)───────── 2^32      width = 2^32 · sweepRows / rows
 *
 * `rows` is the most that the table has held since the round began, so that a block does not have to take the more the fewer
 * are left where all of them go.
 * Since slots are ordered by hash (row-table.ts), a stretch of hashes is a stretch of slots.
 */
import { removeRow, shrinkRows } from '../remove-row.ts';
import { markChanged, mixOf, type RowTable } from '../row-table.ts';

/**
 * Rows that a block looks at: 64 clocks are 64 cache misses, some microseconds. A partition of a million rows that gets ten
 * blocks a second is gone through in half an hour.
 */
export const sweepRows = 64;

const hashes = 4_294_967_296;
let found = new Int32Array(4 * sweepRows);

/** Where the sweep of a table stands. */
export interface SweepPlace {
  /** Hash at which the next block goes on. */
  at: number;
  /** The most rows that the table has held since the sweep passed 0. */
  rows: number;
}

/** Looks at the next rows of a table that expires, as of event time `timeMs`; returns how many it took. */
export function sweepTable(table: RowTable, place: SweepPlace, timeMs: number): number {
  const { count, layout } = table;
  const { expiry, stateFloats, clockAt } = layout;
  if (expiry === null || count === 0 || timeMs === 0) return 0;
  place.rows = Math.max(place.rows, count);
  const width = Math.min(hashes, Math.floor((hashes * sweepRows) / place.rows));
  const end = place.at + width;
  let looked = rowsBetween(table, place.at, Math.min(end, hashes), 0);
  if (end > hashes) looked = rowsBetween(table, 0, end - hashes, looked);
  // Rows above the one that is removed may move, so the highest goes first.
  const rows = found.subarray(0, looked).sort();
  let removed = 0;
  for (let i = looked - 1; i >= 0; i -= 1) {
    const at = rows[i] * stateFloats + clockAt;
    if (table.stateWords[at] === 0) {
      expiry.touch(table.stateWords, at, timeMs, 0);
      markChanged(table, rows[i]);
    } else if (expiry.isOver(table.stateWords, at, timeMs)) {
      removeRow(table, rows[i]);
      removed += 1;
    }
  }
  if (removed > 0) shrinkRows(table);
  place.at = end >= hashes ? end - hashes : end;
  if (end >= hashes) place.rows = table.count;
  return removed;
}

/** Puts the rows whose hash is in [from, to) into `found` behind the first `already`; returns how many there are then. */
function rowsBetween(table: RowTable, from: number, to: number, already: number): number {
  const { slots, mask, shift } = table;
  const first = from >>> shift;
  const last = (to - 1) >>> shift;
  let count = already;
  for (let step = 0; step <= mask; step += 1) {
    const at = ((first + step) & mask) << 2;
    const row = slots[at + 2];
    if (row === 0) {
      // Keys of earlier slots may have been pushed on, up to the first free one.
      if (first + step >= last) break;
      continue;
    }
    const mix = mixOf(slots[at], slots[at + 1]);
    if (mix < from || mix >= to) continue;
    if (count === found.length) found = enlarged(found);
    found[count] = row - 1;
    count += 1;
  }
  return count;
}

function enlarged(rows: Int32Array): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(2 * rows.length);
  larger.set(rows);
  return larger;
}
