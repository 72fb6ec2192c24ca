/** Requests that wait for a batch: the most urgent first, within one priority the oldest. */
import { type Priority, priorities } from './priority.ts';

export interface Waiting {
  readonly rows: number;
  readonly priority: Priority;
  /** When it came, ms. */
  readonly sinceMs: number;
}

export interface WaitingQueue<Entry extends Waiting> {
  add(entry: Entry): void;
  /** Takes entries in order until `takes` says false of one; that one stays the first. */
  take(takes: (entry: Entry) => boolean): void;
  /** When the oldest came of those that go before or beside a new one of `priority`; null: there is none. */
  oldestMs(priority: Priority): number | null;
  readonly length: number;
  readonly rows: number;
}

export function createWaitingQueue<Entry extends Waiting>(): WaitingQueue<Entry> {
  const lines: Record<Priority, Entry[]> = { high: [], normal: [], low: [] };
  let rows = 0;

  /** @returns whether the line is empty now. */
  const takeFrom = (priority: Priority, takes: (entry: Entry) => boolean): boolean => {
    const line = lines[priority];
    let taken = 0;
    for (; taken < line.length && takes(line[taken]); taken += 1) rows -= line[taken].rows;
    if (taken > 0) lines[priority] = line.slice(taken);
    return taken === line.length;
  };

  return {
    add(entry) {
      lines[entry.priority].push(entry);
      rows += entry.rows;
    },
    take(takes) {
      for (const priority of priorities) if (!takeFrom(priority, takes)) return;
    },
    oldestMs(priority) {
      let oldest: number | null = null;
      for (const other of priorities) {
        const first = lines[other].at(0);
        if (first !== undefined) oldest = Math.min(oldest ?? first.sinceMs, first.sinceMs);
        if (other === priority) break;
      }
      return oldest;
    },
    get length() {
      return priorities.reduce((sum, priority) => sum + lines[priority].length, 0);
    },
    get rows() {
      return rows;
    },
  };
}
