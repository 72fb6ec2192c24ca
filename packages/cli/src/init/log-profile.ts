/** One pass over a log: a profile of every column, and records for trials. */
import type { ModelFile } from '@millrace/protocol';
import {
  createLogTally,
  createRequestReader,
  fileInvalid,
  type LogFormat,
  type LogRecord,
  type LogReport,
  openLogFile,
} from '../log-file/index.ts';
import { timeMsFrom } from '../log-file/record-values.ts';
import { type ColumnObserver, type ColumnProfile, createColumnProfile } from './column-profile.ts';
import { guessLabel, guessTimestamp } from './log-roles.ts';
import { createSampler, type Sample } from './sample.ts';

export interface LogProfile {
  readonly events: number;
  readonly positives: number;
  /** In order of first appearance, without label and timestamp. */
  readonly columns: readonly ColumnProfile[];
  /** Columns beyond `columnsMax`, which were not looked at. */
  readonly columnsPassedOver: number;
  readonly label: string;
  readonly labelGuessed: boolean;
  readonly timestamp: string | null;
  readonly timestampGuessed: boolean;
  readonly sample: Sample;
  /** Records used and skipped. */
  readonly report: LogReport;
}

export interface ProfileOptions {
  readonly format: LogFormat | undefined;
  readonly strict: boolean;
  /** Default: by their names. */
  readonly label: string | undefined;
  readonly timestamp: string | undefined;
  readonly sampleMax: number;
  readonly onProgress: (read: number, total: number) => void;
}

/** More columns than a model may have fields, so that leaving some out can still make it fit. */
export const columnsMax = 1_024;

/**
 * Reads the whole log once. Memory holds the profiles and the sample.
 * @throws MILL_FILE_INVALID without a label column, both labels or any usable record, and for what reading throws.
 */
export async function profileLog(path: string, options: ProfileOptions): Promise<LogProfile> {
  const tally = createLogTally(path, options.strict ? 'strict' : 'lenient');
  const log = await openLogFile(path, { format: options.format, tally });
  const sampler = createSampler(options.sampleMax);
  const columns = new Map<string, ColumnObserver>();
  const passedOver = new Set<string>();
  let roles: LogColumns | undefined;
  let reader: ReturnType<typeof createRequestReader> | undefined;
  let events = 0;
  let positives = 0;
  try {
    for await (const batch of log.batches()) {
      roles ??= columnsOf(path, batch, options);
      reader ??= createRequestReader(modelOf(roles), tally);
      for (const record of batch) {
        const read = reader.read(record);
        if (read === null) continue;
        const { values } = record;
        observe({ columns, passedOver, roles, events, positives }, values, read.label);
        sampler.add(values, read.label);
        events += 1;
        positives += read.label;
      }
      options.onProgress(log.bytesRead, log.bytesTotal);
    }
  } finally {
    log.close();
  }
  const report = tally.report();
  if (roles === undefined || events === 0) {
    const first = Object.values(report.skipped)[0]?.first ?? 'none';
    throw fileInvalid({ file: path }, 'at least one record with a label of 0 or 1', first);
  }
  if (positives === 0 || positives === events) {
    const only = positives === 0 ? 0 : 1;
    throw fileInvalid({ file: path, column: roles.label }, 'labels of both kinds', `${events} times ${only}`);
  }
  return {
    events,
    positives,
    columns: [...columns.values()],
    columnsPassedOver: passedOver.size,
    ...roles,
    sample: sampler.sample(),
    report,
  };
}

interface LogColumns {
  readonly label: string;
  readonly labelGuessed: boolean;
  readonly timestamp: string | null;
  readonly timestampGuessed: boolean;
}

function columnsOf(path: string, batch: readonly LogRecord[], options: ProfileOptions): LogColumns {
  const names = [...new Set(batch.flatMap(({ values }) => Object.keys(values)))];
  const there = `only ${names.slice(0, 30).join(', ')}`;
  const label = options.label ?? guessLabel(names);
  if (label === null || !names.includes(label)) {
    const wanted =
      label === null ? 'a column for the label (--label names it)' : `the label column "${label}"`;
    throw fileInvalid({ file: path }, wanted, there);
  }
  const { timestamp } = options;
  if (timestamp !== undefined && !names.includes(timestamp))
    throw fileInvalid({ file: path }, `the time column "${timestamp}"`, there);
  // A column that only sounds like a time is a feature like others.
  const guessed = guessTimestamp(names.filter((name) => name !== label));
  const isTime = guessed !== null && batch.every(({ values }) => timeMsFrom(values[guessed]) !== undefined);
  return {
    label,
    labelGuessed: options.label === undefined,
    timestamp: timestamp ?? (isTime ? guessed : null),
    timestampGuessed: timestamp === undefined,
  };
}

/** What reads label and time of a record by the rules of the model to come. */
function modelOf({ label, timestamp }: LogColumns): ModelFile {
  const empty = { name: 'init', tables: [], fields: [], net: 'linear', loss: 'logloss', seed: 1 } as const;
  return { ...empty, label, ...(timestamp === null ? {} : { timestamp }) };
}

interface Seen {
  readonly columns: Map<string, ColumnObserver>;
  readonly passedOver: Set<string>;
  readonly roles: LogColumns;
  readonly events: number;
  readonly positives: number;
}

/** Names of passed-over columns that are remembered, so that a log of a million columns is not held in memory. */
const passedOverMax = 100_000;

function observe(seen: Seen, values: Readonly<Record<string, unknown>>, label: 0 | 1): void {
  const { columns, roles, events, positives, passedOver } = seen;
  for (const name of Object.keys(values)) {
    if (name === roles.label || name === roles.timestamp) continue;
    let column = columns.get(name);
    if (column === undefined) {
      if (columns.size === columnsMax) {
        if (passedOver.size < passedOverMax) passedOver.add(name);
        continue;
      }
      column = createColumnProfile(name);
      column.skip(events, positives);
      columns.set(name, column);
    }
    column.observe(values[name], label);
  }
  // What a record does not name is missing from it.
  for (const column of columns.values()) if (column.records === events) column.skip(1, label);
}
