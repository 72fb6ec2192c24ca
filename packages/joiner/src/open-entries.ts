/**
 * Impressions that are known: open for their join window, then late for as long again or as the model says, then forgotten.
 *
 *   open ── window over ──▶ late ── late window over ──▶ gone
 *     └────── too much has followed it ──────┴──────▶ gone, counted as dropped
 *
 * Both lists are in log order, and since the watermark never goes back what came first is over first.
 */
import type { Entry } from './entry.ts';
import type { FoldTime, Waiting } from './fold-time.ts';

/** A late entry; `entry` is null where late outcomes teach nothing, and its features are let go. */
export interface LateEntry extends Waiting {
  readonly entry: Entry | null;
}

export interface OpenEntries {
  readonly open: number;
  readonly late: number;
  readonly dropped: number;
  openOf(requestId: string): Entry | undefined;
  lateOf(requestId: string): LateEntry | undefined;
  add(entry: Entry): void;
  /** Closes what is over; `onClosed` is told of each whose window has ended, oldest first. */
  close(onClosed: (entry: Entry) => void): void;
}

export interface OpenEntriesOptions {
  readonly windowMs: number;
  readonly lateMs: number;
  /** Late outcomes teach, so entries keep their features. */
  readonly keepsLate: boolean;
}

export function createOpenEntries(time: FoldTime, options: OpenEntriesOptions): OpenEntries {
  const { windowMs, lateMs, keepsLate } = options;
  const lifeMs = windowMs + lateMs;
  const open = new Map<string, Entry>();
  const late = new Map<string, LateEntry>();
  let dropped = 0;

  const letGo = (what: Waiting) => {
    if (what.since.ms + lifeMs > time.watermarkMs) dropped += 1;
  };

  return {
    get open() {
      return open.size;
    },
    get late() {
      return late.size;
    },
    get dropped() {
      return dropped;
    },
    openOf: (requestId) => open.get(requestId),
    lateOf: (requestId) => late.get(requestId),
    add: (entry) => void open.set(entry.requestId, entry),
    close(onClosed) {
      for (const [requestId, entry] of open) {
        if (!time.isOver(entry, windowMs)) break;
        open.delete(requestId);
        onClosed(entry);
        if (time.isOver(entry, lifeMs)) letGo(entry);
        else {
          const { sequence, bytes, since } = entry;
          late.set(requestId, { sequence, bytes, since, entry: keepsLate ? entry : null });
        }
      }
      for (const [requestId, entry] of late) {
        if (!time.isOver(entry, lifeMs)) break;
        late.delete(requestId);
        letGo(entry);
      }
    },
  };
}
