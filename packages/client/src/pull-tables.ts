/** Pulls what one batch needs from all tables of a model at once. */
import type { TableLayout } from '@millrace/core';
import {
  addReadMark,
  createReadMarks,
  type PullOutcome,
  type ReadMarks,
  type RowSource,
} from './row-source.ts';

export interface TablePull {
  readonly layout: TableLayout;
  readonly keys: Uint32Array;
  readonly count: number;
  readonly out: Float32Array;
}

/**
 * Pulls every table at the same time. Each collects its marks apart, since which table a row was read of is part of where it
 * was read; `marks` gets them all, with their tables, in the order of `tables`, which is that of the model file.
 * Resolves or throws once every table's pull has ended: until then rows are written to the memory that was handed in.
 * @throws as RowSource.pull.
 */
export async function pullTables(
  rows: RowSource,
  tables: readonly TablePull[],
  options: { readonly model: string; readonly marks: ReadMarks; readonly onAbsent: 'default' | 'fail' },
): Promise<PullOutcome> {
  const { model, marks, onAbsent } = options;
  const pulls = await Promise.allSettled(
    tables.map((table, t) => rows.pull({ ...table, model, onAbsent, marks: marksOfTable(marks, t) })),
  );
  for (let t = 0; t < tables.length; t += 1) {
    const { partitions, sequences, count } = marks.ofTables[t];
    for (let i = 0; i < count; i += 1) addReadMark(marks, partitions[i], sequences[i], t);
  }
  let degraded = false;
  for (const pull of pulls) {
    if (pull.status === 'rejected') throw pull.reason;
    degraded ||= pull.value.degraded;
  }
  return { degraded };
}

function marksOfTable(marks: ReadMarks, table: number): ReadMarks {
  marks.ofTables[table] ??= createReadMarks();
  marks.ofTables[table].count = 0;
  return marks.ofTables[table];
}
