/** `millrace replay`: a log as live traffic. */
import { systemClock } from '@millrace/runtime';
import { Command } from 'commander';
import { clusterUrls } from '../cluster-url.ts';
import { logReportJson } from '../log-file/index.ts';
import { type ReplayResult, runReplay } from '../replay/run-replay.ts';
import { openProgressBar } from '../screen/progress-bar.ts';
import { tellLogReports } from './log-report.ts';
import {
  formatOption,
  jsonOption,
  type LogFlags,
  logFileArgument,
  readModelFile,
  strictOption,
  urlOption,
  wholeNumber,
} from './options.ts';

interface ReplayFlags extends LogFlags {
  readonly model: string;
  readonly url?: string;
  readonly inFlight: number;
  readonly rate?: number;
  readonly json: boolean;
}

export function replayCommand(): Command {
  return new Command('replay')
    .description(
      'stream a log as live traffic: score each event through the public API, then send its outcome',
    )
    .argument('<file>', logFileArgument)
    .requiredOption('--model <file>', 'model file; the model is created when it is not there')
    .option(
      '--in-flight <n>',
      'score requests on their way at the same time',
      wholeNumber({ min: 1, max: 1_024 }),
      16,
    )
    .option(
      '--rate <n>',
      'events a second (default: as fast as the cluster answers)',
      wholeNumber({ min: 1, max: 1_000_000 }),
    )
    .addOption(urlOption())
    .addOption(formatOption())
    .addOption(strictOption())
    .addOption(jsonOption())
    .action(async (logPath: string, flags: ReplayFlags) => {
      const bar = openProgressBar('replay');
      const result = await runReplay({
        url: await clusterUrls(flags.url),
        file: readModelFile(flags.model),
        logPath,
        format: flags.format,
        strict: flags.strict,
        clock: systemClock,
        inFlight: flags.inFlight,
        eventsPerSecond: flags.rate ?? null,
        runId: `replay-${systemClock.now()}`,
        onProgress: (read, total, events) => bar.set(read, total, `${events} events`),
      }).finally(() => bar.end());
      const figures = figuresFrom(result);
      const told = { ...figures, ...logReportJson(result.log) };
      process.stdout.write(flags.json ? `${JSON.stringify(told)}\n` : `${text(figures)}\n`);
      tellLogReports([result.log]);
      if (result.errors > 0) process.exitCode = 1;
    });
}

function figuresFrom(result: ReplayResult) {
  const { quality, seconds, events } = result;
  const round = (value: number, digits: number) => Number(value.toFixed(digits));
  return {
    events,
    errors: result.errors,
    ...(result.lastError ? { lastError: result.lastError } : {}),
    auc: round(quality.auc, 6),
    logloss: round(quality.logloss, 6),
    calibration: round(quality.calibration, 4),
    learned: result.learned,
    seconds: round(seconds, 2),
    eventsPerSecond: Math.round(events / seconds),
    scoreMsP50: round(result.scoreMsP50, 2),
    scoreMsP99: round(result.scoreMsP99, 2),
    stalenessMsP50: round(result.stalenessMsP50, 1),
    stalenessMsP99: round(result.stalenessMsP99, 1),
    drainMs: round(result.drainMs, 1),
  };
}

function text(figures: ReturnType<typeof figuresFrom>): string {
  return Object.entries(figures)
    .map(([name, value]) => `${name.padEnd(16)} ${value}`)
    .join('\n');
}
