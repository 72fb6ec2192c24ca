/**
 * A log as decisions: which item was shown where, with which probability, and what it earned. A value that cannot be used ends
 * the reading: an estimate over what is left is an estimate of something else.
 */
import {
  fileInvalid,
  type LogFormat,
  type LogRecord,
  type LogTally,
  openLogFile,
} from '../log-file/index.ts';
import { type ColumnNames, type Columns, columnsFrom } from './columns.ts';

export interface Decision {
  readonly line: number;
  readonly item: string;
  /** '' where the log has no column of it. */
  readonly position: string;
  readonly reward: number;
  /** 1 where the policy needs none. */
  readonly propensity: number;
}

export interface DecisionsOptions {
  readonly path: string;
  readonly format: LogFormat | undefined;
  /** Told of records that cannot be read at all. */
  readonly tally: LogTally;
  readonly names: ColumnNames;
  readonly needsPropensity: boolean;
  readonly onProgress: (bytesRead: number, bytesTotal: number) => void;
  /** Called once, before the first decision. */
  readonly onColumns?: (columns: Columns) => Promise<void>;
}

/**
 * Calls `take` for each decision in the order of the file; resolves to the columns that they were read from.
 * @throws MILL_FILE_INVALID naming file, line and column.
 */
export async function eachDecision(
  options: DecisionsOptions,
  take: (decision: Decision, record: LogRecord) => void | Promise<void>,
): Promise<Columns> {
  const { path, format, tally, names, needsPropensity } = options;
  const log = await openLogFile(path, { format, tally });
  let columns: Columns | null = null;
  try {
    for await (const batch of log.batches()) {
      if (columns === null) {
        columns = columnsFrom({ file: path, names, there: Object.keys(batch[0].values), needsPropensity });
        await options.onColumns?.(columns);
      }
      for (const record of batch) {
        const taken = take(decisionFrom(record, columns), record);
        if (taken !== undefined) await taken;
      }
      options.onProgress(log.bytesRead, log.bytesTotal);
    }
  } finally {
    log.close();
  }
  // A log without a record has ended in an error before.
  return columns as Columns;
}

export function decisionFrom(record: LogRecord, columns: Columns): Decision {
  const { file, line, values } = record;
  const cellOf = (column: string): unknown => (Object.hasOwn(values, column) ? values[column] : null);
  const invalid = (column: string, wanted: string) =>
    fileInvalid({ file, line, column }, wanted, shown(cellOf(column)));
  const textOf = (column: string): string => {
    const value = cellOf(column);
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
      return String(value);
    throw invalid(column, 'text or a number');
  };
  const reward = numberFrom(cellOf(columns.reward));
  if (reward === null) throw invalid(columns.reward, 'a number');
  const propensity = columns.propensity === null ? 1 : numberFrom(cellOf(columns.propensity));
  if (propensity === null || !(propensity > 0 && propensity <= 1))
    throw invalid(columns.propensity as string, 'a probability above 0 and at most 1');
  const position = columns.position === null ? '' : textOf(columns.position);
  return { line, item: textOf(columns.action), position, reward, propensity };
}

function numberFrom(value: unknown): number | null {
  if (value === true || value === 'true') return 1;
  if (value === false || value === 'false') return 0;
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) ? number : null;
}

function shown(value: unknown): string {
  return value === null ? 'nothing' : JSON.stringify(value).slice(0, 80);
}
