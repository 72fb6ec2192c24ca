/** Sums of arms, opened for reading. */
import {
  type ExperimentSums,
  rankTotalsFrom,
  sumColumnCount,
  sumColumns,
  unitGroups,
} from '@millrace/protocol';

export interface OpenSums {
  readonly kinds: readonly string[];
  /** float64[groups]; a view. */
  column(index: number): Float64Array;
  /** One of sumTotals, or sumTotalCount + a kind. */
  total(index: number): number;
  /** Null: no order was drawn in it. */
  readonly ranks: OpenRanks | null;
  /** Null: its units are not counted. */
  readonly units: { readonly sinceMs: number; readonly sample: Uint32Array } | null;
}

export interface OpenRanks {
  /** One of rankColumns, float64[groups]; a view. */
  column(index: number): Float64Array;
  /** One of rankTotals. */
  total(index: number): number;
}

/** By `experiment/arm`. */
export type SumsByArm = ReadonlyMap<string, OpenSums>;

/** @param records of several models: an arm of its own is summed where it learns. */
export function openSums(records: readonly ExperimentSums[]): SumsByArm {
  const opened = new Map<string, OpenSums>();
  for (const { kinds, arms } of records) {
    const totals = (sumColumnCount + kinds.length) * unitGroups;
    for (const { arm, sums, ranks, units } of arms)
      opened.set(arm, {
        kinds,
        ...readerOf(sums, totals),
        ranks: ranks === undefined ? null : readerOf(ranks, rankTotalsFrom),
        units:
          units === undefined
            ? null
            : { sinceMs: units.sinceMs, sample: new Uint32Array(Uint8Array.from(units.sample).buffer) },
      });
  }
  return opened;
}

export function shownOf(sums: OpenSums): number {
  return sumOf(sums.column(sumColumns.shown));
}

export function clickedOf(sums: OpenSums): number {
  return sumOf(sums.column(sumColumns.clicked));
}

export function sumOf(column: Float64Array): number {
  return column.reduce((sum, value) => sum + value, 0);
}

function readerOf(bytes: Uint8Array, totalsFrom: number): OpenRanks {
  const floats = new Float64Array(Uint8Array.from(bytes).buffer);
  return {
    column: (index) => floats.subarray(index * unitGroups, (index + 1) * unitGroups),
    total: (index) => floats[totalsFrom + index],
  };
}
