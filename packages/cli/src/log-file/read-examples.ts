/**
 * A log as examples for a model: what every command that reads one calls. Records that cannot be used are counted and skipped;
 * `report()` tells of them at the end.
 */
import type { ModelFile } from '@millrace/protocol';
import type { LogFormat } from './log-format.ts';
import { createLogTally, type LogReport } from './log-tally.ts';
import { type LogFile, noRecord, openLogFile } from './open-log-file.ts';
import { columnMissing, createRequestReader, type RecordRequest } from './request-reader.ts';

export type Example = RecordRequest;

export interface ReadExamplesOptions {
  /** Default: by the path's ending. */
  readonly format?: LogFormat | undefined;
  /** End at the first record that would be skipped. */
  readonly strict?: boolean | undefined;
  /** Called when a batch has been used. */
  readonly onProgress?: (bytesRead: number, bytesTotal: number) => void;
}

/** Iterating reads the file from its start, once. */
export interface ExampleReading extends AsyncIterable<readonly Example[]> {
  /** What was used and skipped so far. */
  report(): LogReport;
}

/**
 * Where each record names its own columns, one that the model names and none of so many first records has is taken for
 * misspelt. No example is handed out before that is known, so a misspelt column teaches nothing to anybody.
 */
export const columnProofRecords = 1_000;

/**
 * Iterating throws MILL_FILE_INVALID for a file that cannot be read, a column that is not there, no usable record, and with
 * `strict` for the first record that cannot be used.
 */
export function readExamples(
  model: ModelFile,
  path: string,
  options: ReadExamplesOptions = {},
): ExampleReading {
  const tally = createLogTally(path, options.strict ? 'strict' : 'lenient');
  const requests = createRequestReader(model, tally);

  async function* examples(log: LogFile): AsyncGenerator<readonly Example[]> {
    let batch: Example[] = [];
    let records = 0;
    let isProven = false;
    let there: readonly string[] = [];
    for await (const part of log.batches()) {
      there = isProven ? there : Object.keys(part[0].values);
      for (const record of part) {
        records += 1;
        const read = requests.read(record);
        if (read !== null) batch.push(read);
        if (isProven || records < columnProofRecords) continue;
        proveColumns(there);
        isProven = true;
      }
      isProven ||= requests.unseen().length === 0;
      if (!isProven || batch.length === 0) continue;
      yield batch;
      options.onProgress?.(log.bytesRead, log.bytesTotal);
      batch = [];
    }
    proveColumns(there);
    if (tally.report().records === 0) throw noRecord(path, tally);
    if (batch.length > 0) yield batch;
    options.onProgress?.(log.bytesRead, log.bytesTotal);
  }

  const proveColumns = (there: readonly string[]): void => {
    const [missing] = requests.unseen();
    if (missing !== undefined) throw columnMissing(path, undefined, missing, there);
  };

  return {
    async *[Symbol.asyncIterator]() {
      const log = await openLogFile(path, {
        format: options.format,
        tally,
        numericColumns: numericColumnsOf(model),
      });
      try {
        yield* examples(log);
      } finally {
        log.close();
      }
    },
    report: () => tally.report(),
  };
}

/** Columns of the form `list^feature` that the model names. */
function numericColumnsOf(model: ModelFile): ReadonlySet<string> {
  const names = [
    ...model.fields.map(({ name }) => name),
    model.label,
    model.timestamp ?? '',
    model.negativeRate ?? '',
  ];
  return new Set(names.filter((name) => name.includes('^')));
}
