/** Rows of all tables in a format for reading, packed once from what a learner holds. */
import {
  createPackedRows,
  findRow,
  type PackedFormat,
  type PackedRows,
  type PartitionState,
  packedBytes,
  packRow,
  partitionOf,
  type RowTable,
  unpackRow,
  writeInitialRow,
} from '@millrace/core';
import type { RowsKept } from './methods.ts';

export interface RowCopies {
  readonly bytes: number;
  /**
   * Reads the rows of one table's keys; a key without a row gets its first values.
   * @param keys  uint32[2 · count].  @param out  float32[count, dim], written.
   */
  read(table: number, keys: Uint32Array, count: number, out: Float32Array): void;
}

/** @param states  by partition, all of them; their tables give keys and rows their places. */
export function packRows(states: readonly PartitionState[], format: PackedFormat): RowCopies {
  const packed = states.map(({ tables }) => tables.map((table) => packTable(table, format)));
  return {
    bytes: packed.flat().reduce((sum, rows) => sum + packedBytes(rows), 0),
    read(t, keys, count, out) {
      for (let i = 0; i < count; i += 1) {
        const [low, high] = [keys[2 * i], keys[2 * i + 1]];
        const partition = partitionOf(low, high, states.length);
        const table = states[partition].tables[t];
        const at = i * table.layout.dim;
        const row = findRow(table, low, high);
        if (row >= 0) unpackRow(packed[partition][t], row, out, at);
        else writeInitialRow(table.layout, low, high, out, at);
      }
    },
  };
}

/** Bytes of the weights of all rows as they are learned. */
export function rowBytes(states: readonly PartitionState[]): number {
  return states
    .flatMap(({ tables }) => tables)
    .reduce((sum, { count, layout }) => sum + 4 * layout.dim * count, 0);
}

/** Rows in each format that some method wants; null for float32, which are read where they were learned. */
export function copiesOf(
  states: readonly PartitionState[],
  formats: Iterable<RowsKept>,
): ReadonlyMap<RowsKept, RowCopies | null> {
  return new Map(
    [...new Set(formats)].map((format) => [format, format === 'float32' ? null : packRows(states, format)]),
  );
}

function packTable(table: RowTable, format: PackedFormat): PackedRows {
  const { count, weights, layout } = table;
  const packed = createPackedRows(layout, format, count);
  for (let row = 0; row < count; row += 1) packRow(packed, row, weights, row * layout.dim);
  return packed;
}
