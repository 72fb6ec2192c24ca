/** Pulls what one batch needs from all tables of a model at once. */
import type { TableLayout } from '@millrace/core';
import type { PullOutcome, ReadMarks, RowSource } from './row-source.ts';

export interface TablePull {
  readonly layout: TableLayout;
  readonly keys: Uint32Array;
  readonly count: number;
  readonly out: Float32Array;
}

/** @throws as RowSource.pull. */
export async function pullTables(
  rows: RowSource,
  tables: readonly TablePull[],
  options: { readonly model: string; readonly marks: ReadMarks; readonly onAbsent: 'default' | 'fail' },
): Promise<PullOutcome> {
  const outcomes = await Promise.all(tables.map((table) => rows.pull({ ...table, ...options })));
  return { degraded: outcomes.some((outcome) => outcome.degraded) };
}
