/** The one kind of logger: JSON lines, one an event, each with the name of its service. */
import { type DestinationStream, destination, type Logger, pino } from 'pino';

export type { Logger } from 'pino';

export const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LoggerOptions {
  /** Name of the process's service; stands in every line. */
  readonly service: string;
  readonly level: LogLevel;
  /** Where lines go; default the standard error stream, written before `log` returns, so that a crash loses none. */
  readonly destination?: DestinationStream;
}

/** Creates a logger of JSON lines `{"level":"info","time":<Unix ms>,"service":…,…,"msg":…}`. */
export function createLogger(options: LoggerOptions): Logger {
  return pino(
    {
      level: options.level,
      base: { service: options.service },
      formatters: { level: (label) => ({ level: label }) },
    },
    options.destination ?? destination({ fd: 2, sync: true }),
  );
}
