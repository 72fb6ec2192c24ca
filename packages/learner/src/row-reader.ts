/** Rows of a batch, read from states in this process as a shard would read them. */
import { type PartitionState, pullRows, type RowTable } from '@millrace/core';
import { atLeast, type BatchSpace } from '@millrace/model';
import { partitionsMax } from '@millrace/protocol';

/** Reads the rows of all keys of the space's batch into `space.rows`; a key without a row gets its first values. */
export type ReadRows = (space: BatchSpace) => void;

const touched = new Uint16Array(partitionsMax);

/** @param states  by partition, all of them; only read. */
export function createRowReader(states: readonly PartitionState[]): ReadRows {
  /** By table, then partition: what pullRows wants. */
  const tables: readonly (readonly RowTable[])[] = states[0].tables.map((_, place) =>
    states.map((state) => state.tables[place]),
  );
  return (space) => {
    const { batch, rows, plan } = space;
    for (let t = 0; t < tables.length; t += 1) {
      const { keys, unique } = batch.tables[t];
      rows[t] = atLeast(rows[t], unique * plan.tables[t].dim);
      if (unique > 0) pullRows(tables[t], keys, unique, rows[t], 0, touched);
    }
  };
}
