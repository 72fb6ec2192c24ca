/**
 * The plain twin of rows that come and go in one table: exact counts and ages, which the simulation's models use. It shares with
 * production the hash that orders the sweep and how many rows a block looks at, which are their definition.
 */
import { mixOf, sweepRows } from '@millrace/core';
import type { TableSpec } from '@millrace/protocol';

/** A row as far as its life goes. */
export interface PlainLiving {
  readonly low: number;
  readonly high: number;
  /** Tick at which it was learned last, 0: not known. */
  readonly tick: number;
}

export interface PlainLife {
  /** Whether a key without a row gets one; counts it. */
  admits(low: number, high: number, seen: number): boolean;
  /** The tick of an event time, null where rows stay. */
  tickAt(timeMs: number): number | null;
  /** What the next sweep comes by at an event time: rows whose clock starts now, and rows that go. */
  sweep<Row extends PlainLiving>(
    rows: readonly Row[],
    timeMs: number,
  ): { readonly started: readonly Row[]; readonly over: readonly Row[] };
  /** Where the sweep stands, as the state's hash has it. */
  place(): readonly [at: number, rows: number];
  /** What admission remembers, as the state's hash has it; null where keys are not asked. */
  memory(): Uint32Array | null;
}

const hashes = 2 ** 32;

export function createPlainLife({ admission, expiry }: TableSpec): PlainLife {
  if (admission && (admission.type !== 'count' || admission.counter === 'sketch'))
    throw new Error('the plain twin counts exactly');
  if (expiry && expiry.type !== 'age') throw new Error('the plain twin knows ages alone');
  const counts = new Map<string, { low: number; high: number; count: number }>();
  const afterMs = expiry?.afterMs ?? 0;
  const tickMs = Math.max(1, Math.floor(afterMs / 256));
  const ticksMax = Math.ceil(afterMs / tickMs) + 1;
  let at = 0;
  let most = 0;
  const tickAt = (timeMs: number) => Math.floor(timeMs / tickMs) % hashes;
  return {
    admits(low, high, seen) {
      if (!admission) return true;
      const entry = counts.get(`${low} ${high}`) ?? { low, high, count: 0 };
      const admitted = entry.count + seen >= admission.count;
      if (!admitted || counts.has(`${low} ${high}`)) counts.set(`${low} ${high}`, entry);
      entry.count = admitted ? 0 : entry.count + seen;
      return admitted;
    },
    tickAt: (timeMs) => (expiry ? tickAt(timeMs) : null),
    sweep(rows, timeMs) {
      if (!expiry || timeMs === 0 || rows.length === 0) return { started: [], over: [] };
      most = Math.max(most, rows.length);
      const width = Math.min(hashes, Math.floor((hashes * sweepRows) / most));
      const near = rows.filter(({ low, high }) => (mixOf(low, high) - at + hashes) % hashes < width);
      const over = near.filter(({ tick }) => tick !== 0 && tickAt(timeMs) - tick >= ticksMax);
      if (at + width >= hashes) most = rows.length - over.length;
      at = (at + width) % hashes;
      return { started: near.filter(({ tick }) => tick === 0), over };
    },
    place: () => [at, most],
    memory() {
      if (!admission) return null;
      const entries = [...counts.values()];
      return Uint32Array.from([
        entries.length,
        0,
        ...entries.flatMap(({ low, high }) => [low, high]),
        ...entries.map(({ count }) => count),
      ]);
    },
  };
}
