/**
 * The plain twin of rows that come and go: maps, whole numbers, one row after the other. It shares with the fold the hash that
 * orders the sweep, which is its definition, and nothing else.
 */
import type { AdmissionSpec, ExpirySpec } from '@millrace/protocol';
import { sweepRows } from '../../src/expiry/sweep.ts';
import { mixOf } from '../../src/row-table.ts';

export interface Sight {
  readonly key: number;
  readonly gradient: number;
  readonly occurrences: number;
}

interface PlainRow {
  weight: number;
  /** Ticks of the last time (age) or of the anchor (score), null: not known. */
  tick: number | null;
  score: number;
}

export const learningRate = 0.5;

/** A table of one wide weight, learned by plain gradient descent; exact counts or none, any expiry or none. */
export function createPlainTable(admission: AdmissionSpec | undefined, expiry: ExpirySpec | undefined) {
  const rows = new Map<number, PlainRow>();
  const counts = new Map<number, number>();
  const figures = { notAdmitted: 0, expired: 0 };
  let nowMs = 0;
  let cursor = 0;
  let most = 0;
  const spanMs = expiry?.type === 'age' ? expiry.afterMs : (expiry?.halfLifeMs ?? 1);
  const tickMs = Math.max(1, Math.floor(spanMs / 256));
  const spanTicks = Math.ceil(spanMs / tickMs);
  const tick = () => (nowMs === 0 ? null : Math.floor(nowMs / tickMs));

  const halvings = (row: PlainRow) => {
    const now = tick();
    return now === null || row.tick === null ? 0 : Math.floor((now - row.tick) / spanTicks);
  };
  const touch = (row: PlainRow, occurrences: number) => {
    const times = halvings(row);
    row.score = Math.fround(row.score * 0.5 ** times + occurrences);
    if (expiry?.type === 'age' || row.tick === null) row.tick = tick();
    else row.tick += times * spanTicks;
  };
  const isOver = (row: PlainRow) => {
    if (expiry?.type === 'age') return (tick() ?? 0) - (row.tick ?? 0) >= spanTicks + 1;
    return row.score * 0.5 ** halvings(row) < (expiry?.scoreMin ?? 0);
  };
  const sweep = () => {
    if (expiry === undefined || nowMs === 0 || rows.size === 0) return;
    most = Math.max(most, rows.size);
    const width = Math.min(2 ** 32, Math.floor((2 ** 32 * sweepRows) / most));
    for (const [key, row] of [...rows]) {
      const distance = (mixOf(key, keyHigh(key)) - cursor + 2 ** 32) % 2 ** 32;
      if (distance >= width) continue;
      if (row.tick === null) touch(row, 0);
      else if (isOver(row)) {
        rows.delete(key);
        figures.expired += 1;
      }
    }
    if (cursor + width >= 2 ** 32) most = rows.size;
    cursor = (cursor + width) % 2 ** 32;
  };

  return {
    rows,
    figures,
    take(sights: readonly Sight[], eventTimeMs: number | null) {
      if (expiry) nowMs = Math.max(nowMs, eventTimeMs ?? 0);
      for (const { key, gradient, occurrences } of sights) {
        if (!rows.has(key) && admission?.type === 'count') {
          const count = (counts.get(key) ?? 0) + occurrences;
          counts.set(key, count >= admission.count ? 0 : count);
          if (count < admission.count) {
            figures.notAdmitted += 1;
            continue;
          }
        }
        const row = rows.get(key) ?? { weight: 0, tick: null, score: 0 };
        rows.set(key, row);
        touch(row, occurrences);
        row.weight = Math.fround(row.weight - learningRate * gradient);
      }
      sweep();
    },
    put(key: number, weight: number) {
      const row = { weight, tick: null, score: 0 };
      rows.set(key, row);
      touch(row, 1);
      sweep();
    },
  };
}

/** High words of test keys: few bits of the low one, so that hashes spread. */
export function keyHigh(key: number): number {
  return Math.imul(key, 0x9e3779b1) >>> 0;
}
