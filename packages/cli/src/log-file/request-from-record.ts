/** One record of a log as a request, by itself. For a whole log see request-reader.ts. */
import type { ModelFile } from '@millrace/protocol';
import type { LogRecord } from './log-record.ts';
import { createLogTally } from './log-tally.ts';
import { columnMissing, createRequestReader, type RecordRequest } from './request-reader.ts';

/** @throws MILL_FILE_INVALID naming file, line, column, wanted and found, also for a column that the record does not have. */
export function requestFromRecord(model: ModelFile, record: LogRecord): RecordRequest {
  const { values } = record;
  const names = [
    ...model.fields.map(({ name }) => name),
    model.label,
    model.timestamp ?? model.label,
    model.negativeRate ?? model.label,
  ];
  const missing = names.find((name) => !Object.hasOwn(values, name));
  if (missing !== undefined) throw columnMissing(record.file, record.line, missing, Object.keys(values));
  const read = createRequestReader(model, createLogTally(record.file, 'strict')).read(record);
  // A strict tally throws for every record that cannot be used.
  return read as RecordRequest;
}
