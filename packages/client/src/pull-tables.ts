/** Pulls what one batch needs from all tables of a model at once. */
import type { TableLayout } from '@millrace/core';
import type { PullOutcome, ReadMarks, RowSource } from './row-source.ts';

export interface TablePull {
  readonly layout: TableLayout;
  readonly keys: Uint32Array;
  readonly count: number;
  readonly out: Float32Array;
}

/**
 * Resolves or throws once every table's pull has ended: until then rows are written to the memory that was handed in.
 * @throws as RowSource.pull.
 */
export async function pullTables(
  rows: RowSource,
  tables: readonly TablePull[],
  options: { readonly model: string; readonly marks: ReadMarks; readonly onAbsent: 'default' | 'fail' },
): Promise<PullOutcome> {
  const pulls = await Promise.allSettled(tables.map((table) => rows.pull({ ...table, ...options })));
  let degraded = false;
  for (const pull of pulls) {
    if (pull.status === 'rejected') throw pull.reason;
    degraded ||= pull.value.degraded;
  }
  return { degraded };
}
