export { fileInvalid, type LogPlace, type LogRecord } from './log-record.ts';
export { type LogFile, type LogFileOptions, type LogFormat, openLogFile } from './open-log-file.ts';
export { type RecordRequest, requestFromRecord } from './request-from-record.ts';
