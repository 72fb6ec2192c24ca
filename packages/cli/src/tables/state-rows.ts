/** Rows of folded partitions as tables are written and put. */
import type { RowTable } from '@millrace/core';
import type { TableRows } from './folder-writer.ts';

/** All rows of a table as they lie; of their state what belongs to optimizers, without clocks, or none. */
export function rowsOf({ keys, weights, state, count, layout }: RowTable, withState: boolean): TableRows {
  const { dim, stateFloats, clockAt } = layout;
  const optimizerState = new Float32Array(withState ? clockAt * count : 0);
  if (withState)
    for (let row = 0; row < count; row += 1)
      optimizerState.set(state.subarray(row * stateFloats, row * stateFloats + clockAt), row * clockAt);
  return {
    count,
    keys: keys.subarray(0, 2 * count),
    weights: weights.subarray(0, dim * count),
    state: optimizerState,
  };
}
