/** One pass over a log: a profile of every column, and its first records for trials. */
import type { ModelFile } from '@millrace/protocol';
import { isMillraceError } from '@millrace/protocol';
import { fileInvalid, type LogFile, type LogRecord, requestFromRecord } from '../log-file/index.ts';
import { type ColumnObserver, type ColumnProfile, createColumnProfile } from './column-profile.ts';
import { labelFromCell } from './label-cell.ts';

export interface LogProfile {
  readonly events: number;
  readonly positives: number;
  /** In order of first appearance, without label and timestamp. */
  readonly columns: readonly ColumnProfile[];
  readonly label: string;
  readonly timestamp: string | null;
  /** Events that are earlier than the one before them. */
  readonly backwards: number;
  /** Records that lack some column altogether, as JSON lines may; columns that a record lacks. */
  readonly ragged: ReadonlySet<string>;
  /** The first records of the log. */
  readonly sample: Sample;
}

export interface Sample {
  readonly records: readonly LogRecord[];
  /** uint8[records] */
  readonly labels: Uint8Array;
}

export interface ProfileOptions {
  readonly label: string;
  readonly timestamp: string | null;
  readonly sampleMax: number;
  readonly onProgress: (read: number, total: number) => void;
}

/** More columns than a model may have fields, so that dropping some can still make it fit. */
export const columnsMax = 1_024;

/**
 * Reads the whole log once. Memory holds the profiles and the sample.
 * @throws MILL_FILE_INVALID for a label other than 0 and 1, a time that is none, too many columns, and what reading throws.
 */
export async function profileLog(log: LogFile, options: ProfileOptions): Promise<LogProfile> {
  const { label, timestamp } = options;
  const columns = new Map<string, ColumnObserver>();
  const ragged = new Set<string>();
  const records: LogRecord[] = [];
  const labels = new Uint8Array(options.sampleMax);
  const timeOf = timeReader(label, timestamp);
  let events = 0;
  let positives = 0;
  let backwards = 0;
  let lastMs = Number.NEGATIVE_INFINITY;
  for await (const batch of log.batches()) {
    for (const record of batch) {
      const outcome = labelFromCell(record, label);
      const timeMs = timeOf(record);
      if (timeMs < lastMs) backwards += 1;
      lastMs = timeMs;
      observe({ columns, ragged, left: [label, timestamp], events, positives }, record, outcome);
      if (records.length < options.sampleMax) {
        labels[records.length] = outcome;
        records.push(record);
      }
      events += 1;
      positives += outcome;
    }
    options.onProgress(log.bytesRead, log.bytesTotal);
  }
  const sample = { records, labels: labels.slice(0, records.length) };
  return { events, positives, columns: [...columns.values()], label, timestamp, backwards, ragged, sample };
}

/** Reads times by the rules of the model's timestamp column. */
function timeReader(label: string, timestamp: string | null): (record: LogRecord) => number {
  if (timestamp === null) return () => 0;
  const model: ModelFile = { ...readOnly, label, timestamp };
  return (record) => requestFromRecord(model, record).timeMs ?? 0;
}

/** True when a record can be read with a field whose column it lacks. */
export function takesAbsentColumns(record: LogRecord, label: string): boolean {
  const absent = 'a column that no log has';
  try {
    requestFromRecord({ ...readOnly, label, fields: [{ name: absent, type: 'sparse', table: '' }] }, record);
    return true;
  } catch (error) {
    if (!isMillraceError(error)) throw error;
    return false;
  }
}

const readOnly: ModelFile = {
  name: 'init',
  label: '',
  tables: [],
  fields: [],
  net: 'linear',
  loss: 'logloss',
  seed: 1,
};

interface Seen {
  readonly columns: Map<string, ColumnObserver>;
  readonly ragged: Set<string>;
  /** Columns that are no features. */
  readonly left: readonly (string | null)[];
  readonly events: number;
  readonly positives: number;
}

function observe(seen: Seen, record: LogRecord, outcome: 0 | 1): void {
  const { columns, ragged, left } = seen;
  for (const name of Object.keys(record.values)) {
    if (left.includes(name)) continue;
    let column = columns.get(name);
    if (column === undefined) {
      if (columns.size === columnsMax)
        throw fileInvalid({ file: record.file, line: record.line }, `at most ${columnsMax} columns`, 'more');
      column = createColumnProfile(name);
      column.skip(seen.events, seen.positives);
      if (seen.events > 0) ragged.add(name);
      columns.set(name, column);
    }
    column.observe(record.values[name], outcome);
  }
  for (const column of columns.values()) {
    if (column.records > seen.events) continue;
    column.skip(1, outcome);
    ragged.add(column.name);
  }
}
