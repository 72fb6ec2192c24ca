/** How a command tells what became of the records of its log. */
import { type LogReport, logReportText } from '../log-file/index.ts';

/** Prints what was skipped to standard error; the command ends with code 1 when that was more than half of a log. */
export function tellLogReports(reports: readonly LogReport[]): void {
  for (const report of reports) {
    for (const line of logReportText(report)) process.stderr.write(`${line}\n`);
    if (report.isMostlySkipped) process.exitCode = 1;
  }
}
