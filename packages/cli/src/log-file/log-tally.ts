/**
 * What became of a log: records used, records skipped with reason and lines, and what is worth telling of those used. Bounded,
 * however long the log and however bad: counts, and the first few lines of each reason.
 */
import { fileInvalid, shownFrom } from './log-record.ts';

/**
 * Why a record was skipped.
 *   ragged     a CSV line with more or fewer cells than the header
 *   quotes     a CSV quote that is not closed, or stands where none may
 *   syntax     a line that does not parse as its format says
 *   encoding   bytes that are not UTF-8
 *   too-long   a line of more than `lineBytesMax` bytes
 *   label, timestamp, feature   a value that the model cannot use
 */
export const skipReasons = [
  'ragged',
  'quotes',
  'syntax',
  'encoding',
  'too-long',
  'label',
  'timestamp',
  'feature',
] as const;
export type SkipReason = (typeof skipReasons)[number];

export interface Skipped {
  readonly count: number;
  /** The first of them, at most `linesKept`. */
  readonly lines: readonly number[];
  /** What was wanted and found the first time. */
  readonly first: string;
}

export interface LogNotes {
  /** Records older than the newest before them. */
  readonly timeBackwards?: { readonly count: number; readonly line: number; readonly stepMsMax: number };
  /** Empty cells and nulls of the columns that the model reads, in records used. */
  readonly emptyCells?: Readonly<Record<string, number>>;
  /** Values other than 1 of lists that the model reads, in columns that it does not: not learned from. */
  readonly unreadValues?: {
    readonly count: number;
    readonly line: number;
    readonly columns: readonly string[];
  };
}

export interface LogReport {
  readonly file: string;
  /** Records used. */
  readonly records: number;
  readonly skippedTotal: number;
  readonly skipped: Readonly<Partial<Record<SkipReason, Skipped>>>;
  readonly notes: LogNotes;
  /** More than half of the log was skipped: what was computed from the rest says little. */
  readonly isMostlySkipped: boolean;
}

export interface LogTally {
  /** Counts a skipped record. @throws MILL_FILE_INVALID when the tally is strict. */
  skip(
    reason: SkipReason,
    place: { readonly line: number; readonly column?: string },
    wanted: string,
    found: unknown,
  ): void;
  /** Counts a record used, with its time if the model reads one. */
  take(line: number, timeMs: number | null): void;
  noteEmpty(column: string): void;
  noteUnread(column: string, line: number): void;
  report(): LogReport;
}

/** Lines that a report names for each reason: enough to find the pattern, few enough to read. */
export const linesKept = 10;
/** Columns that a note lists. */
const columnsKept = 20;

/** @param rule `strict`: the first record that would be skipped ends the reading; `lenient`: it is counted. */
export function createLogTally(file: string, rule: 'strict' | 'lenient'): LogTally {
  const skipped: Partial<Record<SkipReason, { count: number; lines: number[]; first: string }>> = {};
  let skippedTotal = 0;
  let records = 0;
  let newestMs = Number.NEGATIVE_INFINITY;
  const backwards = { count: 0, line: 0, stepMsMax: 0 };
  const empty = new Map<string, number>();
  const unread = { count: 0, line: 0, columns: new Set<string>() };

  return {
    skip(reason, place, wanted, found) {
      if (rule === 'strict') throw fileInvalid({ file, ...place }, wanted, shownFrom(found));
      skippedTotal += 1;
      const entry = skipped[reason];
      if (entry === undefined) {
        const column = place.column === undefined ? '' : `column "${place.column}": `;
        const first = `${column}wanted ${wanted}, found ${shownFrom(found)}`;
        skipped[reason] = { count: 1, lines: [place.line], first };
        return;
      }
      entry.count += 1;
      if (entry.lines.length < linesKept) entry.lines.push(place.line);
    },
    take(line, timeMs) {
      records += 1;
      if (timeMs === null) return;
      if (timeMs >= newestMs) {
        newestMs = timeMs;
        return;
      }
      if (backwards.count === 0) backwards.line = line;
      backwards.count += 1;
      backwards.stepMsMax = Math.max(backwards.stepMsMax, newestMs - timeMs);
    },
    noteEmpty(column) {
      empty.set(column, (empty.get(column) ?? 0) + 1);
    },
    noteUnread(column, line) {
      if (unread.count === 0) unread.line = line;
      unread.count += 1;
      if (unread.columns.size < columnsKept) unread.columns.add(column);
    },
    report: () => ({
      file,
      records,
      skippedTotal,
      // In the table's order, so that the same log gives the same bytes.
      skipped: Object.fromEntries(
        skipReasons.flatMap((reason) => {
          const entry = skipped[reason];
          return entry ? [[reason, { ...entry, lines: [...entry.lines] }]] : [];
        }),
      ),
      notes: {
        ...(backwards.count > 0 ? { timeBackwards: { ...backwards } } : {}),
        ...(empty.size > 0 ? { emptyCells: Object.fromEntries(empty) } : {}),
        ...(unread.count > 0 ? { unreadValues: { ...unread, columns: [...unread.columns] } } : {}),
      },
      isMostlySkipped: skippedTotal > records,
    }),
  };
}
