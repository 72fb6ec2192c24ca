/** Rows put whole by a block of the log: what `millrace import` publishes. */
import type { PutSection } from '@millrace/protocol';
import { addKey, findRow, markChanged, type RowTable, startState } from '../row-table.ts';
import type { TableLayout } from '../table-layout.ts';

/** True when the rows of a section are rows of such a table: all weights, and all optimizer floats or none. */
export function fitsPut({ dim, clockAt }: TableLayout, section: PutSection): boolean {
  return dim === section.dim && (section.stateFloats === 0 || section.stateFloats === clockAt);
}

/**
 * Puts each row over the one of its key, or as a new one: admission is not asked, since somebody chose the rows. Without
 * state a row starts as a new one of its weights would. Its clock counts the put as one occurrence.
 * @param timeMs event time of the state, 0: not known.
 * @returns rows passed over since a float of theirs is not finite.
 */
export function applyPutSection(table: RowTable, section: PutSection, timeMs: number): number {
  const { dim, stateFloats, clockAt, expiry } = table.layout;
  const { keys, weights, state, count } = section;
  let broken = 0;
  for (let i = 0; i < count; i += 1) {
    const given = weights.subarray(i * dim, (i + 1) * dim);
    const floats = state.subarray(i * section.stateFloats, (i + 1) * section.stateFloats);
    if (!given.every(Number.isFinite) || !floats.every(Number.isFinite)) {
      broken += 1;
      continue;
    }
    const low = keys[2 * i];
    const high = keys[2 * i + 1];
    let row = findRow(table, low, high);
    if (row < 0) row = addKey(table, low, high);
    markChanged(table, row);
    table.weights.set(given, row * dim);
    startState(table, row);
    table.state.set(floats, row * stateFloats);
    expiry?.touch(table.stateWords, row * stateFloats + clockAt, timeMs, 1);
  }
  return broken;
}
