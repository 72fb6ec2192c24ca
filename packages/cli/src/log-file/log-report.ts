/** What became of a log's records, as people and as programs read it. */
import { textTable } from '../screen/text-table.ts';
import type { LogReport, SkipReason } from './log-tally.ts';

/** The parts of a command's JSON result that tell of skipped records. */
export interface LogReportJson {
  readonly skipped: Readonly<Partial<Record<SkipReason, { count: number; lines: readonly number[] }>>>;
  readonly notes: LogReport['notes'];
}

export function logReportJson(report: LogReport): LogReportJson {
  const entries = Object.entries(report.skipped).map(([reason, { count, lines }]) => [
    reason,
    { count, lines },
  ]);
  return { skipped: Object.fromEntries(entries), notes: report.notes };
}

/** Lines for standard error; none for a log without a fault. */
export function logReportText(report: LogReport): readonly string[] {
  const { file, records, skippedTotal, skipped, isMostlySkipped } = report;
  const lines: string[] = [];
  if (skippedTotal > 0) {
    lines.push(`${file}: ${records} records used, ${skippedTotal} skipped`);
    const rows = Object.entries(skipped).map(([reason, { count, lines: at, first }]) => [
      reason,
      String(count),
      `${at.join(', ')}${count > at.length ? ', …' : ''}`,
      first,
    ]);
    lines.push(...textTable([['skipped', 'records', 'lines', 'the first'], ...rows]));
  }
  lines.push(...noteLines(report));
  if (isMostlySkipped)
    lines.push(`${file}: more than half of the log was skipped, so the result says little`);
  return lines;
}

function noteLines({ file, notes }: LogReport): string[] {
  const { timeBackwards, emptyCells, unreadValues } = notes;
  const lines: string[] = [];
  if (timeBackwards) {
    const { count, line, stepMsMax } = timeBackwards;
    lines.push(
      `${file}: time goes backwards at ${count} records, first in line ${line}, by up to ${durationText(stepMsMax)}`,
    );
  }
  if (emptyCells) {
    const columns = Object.entries(emptyCells).map(([column, count]) => `${column} ${count}`);
    lines.push(`${file}: empty cells: ${columns.join(', ')}`);
  }
  if (unreadValues) {
    const { count, line, columns } = unreadValues;
    lines.push(
      `${file}: ${count} values other than 1 in columns that the model does not name, first in line ${line}: ${columns.join(', ')}`,
    );
  }
  return lines;
}

const dayMs = 86_400_000;

function durationText(ms: number): string {
  return ms < 2 * dayMs ? `${ms / 1_000} s` : `${Math.round(ms / dayMs)} days`;
}
