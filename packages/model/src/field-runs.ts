/** Runs of fields: what of an example goes into a batch in one call. */
import type { KeyField } from './feature-plan.ts';

/** Fields of one table that follow each other; one with running moments stands alone. */
export interface FieldRun {
  readonly table: number;
  /** Places in the plan. */
  readonly fields: Int32Array;
  /** Place among the fields with running moments, −1: none. */
  readonly moments: number;
}

export function fieldRuns(
  fields: readonly KeyField[],
  isWanted: (field: KeyField) => boolean,
): readonly FieldRun[] {
  const runs: { table: number; fields: number[]; moments: number }[] = [];
  fields.forEach((field, f) => {
    if (!isWanted(field)) return;
    const { table, moments } = field;
    const last = runs.at(-1);
    if (last?.table === table && last.moments < 0 && moments < 0) last.fields.push(f);
    else runs.push({ table, fields: [f], moments });
  });
  return runs.map((run) => ({ ...run, fields: Int32Array.from(run.fields) }));
}
