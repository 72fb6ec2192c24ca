export { type LogFormat, logFormats } from './log-format.ts';
export { fileInvalid, type LogPlace, type LogRecord } from './log-record.ts';
export { logReportJson, logReportText } from './log-report.ts';
export {
  createLogTally,
  type LogNotes,
  type LogReport,
  type LogTally,
  type Skipped,
  type SkipReason,
  skipReasons,
} from './log-tally.ts';
export { type LogFile, type LogFileOptions, openLogFile } from './open-log-file.ts';
export {
  type Example,
  type ExampleReading,
  type ReadExamplesOptions,
  readExamples,
} from './read-examples.ts';
export { requestFromRecord } from './request-from-record.ts';
export { createRequestReader, type RecordRequest, type RequestReader } from './request-reader.ts';
