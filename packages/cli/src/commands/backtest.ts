/** `millrace backtest`: what online learning would have given on a log, in one process. */
import type { LocalLearner } from '@millrace/learner';
import { type EngineName, engineNames, sameModel } from '@millrace/model';
import { MillraceError } from '@millrace/protocol';
import { Command, Option } from 'commander';
import { type BacktestResult, runBacktest } from '../backtest/run-backtest.ts';
import { logReportJson } from '../log-file/index.ts';
import { openProgressBar } from '../screen/progress-bar.ts';
import { openLearner } from '../training/open-learner.ts';
import { tellLogReports } from './log-report.ts';
import {
  formatOption,
  jsonOption,
  type LogFlags,
  logFileArgument,
  readModelFile,
  strictOption,
  wholeNumber,
} from './options.ts';

interface BacktestFlags extends LogFlags {
  readonly model?: string;
  readonly from?: string;
  readonly test?: string;
  readonly batch: number;
  readonly engine: 'auto' | EngineName;
  readonly json: boolean;
}

export function backtestCommand(): Command {
  return new Command('backtest')
    .description('score each event of a log, then learn it; no cluster needed, and reproducible to the bit')
    .argument('<file>', logFileArgument)
    .option('--model <file>', 'model file')
    .option('--from <folder>', 'start from what `millrace train` left there, instead of from nothing')
    .option('--test <file>', 'then score this log without learning')
    .option('--batch <n>', 'events of one gradient step', wholeNumber({ min: 1, max: 1_000_000 }), 1)
    .addOption(
      new Option('--engine <name>', 'what runs the net').choices(['auto', ...engineNames]).default('auto'),
    )
    .addOption(formatOption())
    .addOption(strictOption())
    .addOption(jsonOption())
    .action(async (logPath: string, flags: BacktestFlags) => {
      const { batch: batchExamples, format, strict } = flags;
      const learner = await learnerOf(flags);
      const bar = openProgressBar('backtest');
      const startMs = performance.now();
      const result = await runBacktest({
        learner,
        log: { path: logPath, format, strict },
        test: flags.test === undefined ? null : { path: flags.test, format, strict },
        batchExamples,
        onProgress: (read, total) => bar.set(read, total, ''),
      }).finally(() => {
        bar.end();
        learner.dispose();
      });
      const seconds = (performance.now() - startMs) / 1_000;
      const figures = figuresFrom(result);
      // How long it took is told apart, so that the same command gives the same bytes.
      const { log, testLog } = result;
      const told = {
        ...figures,
        ...logReportJson(log),
        ...(testLog ? { testLog: logReportJson(testLog) } : {}),
      };
      process.stdout.write(flags.json ? `${JSON.stringify(told)}\n` : `${text(figures)}\n`);
      const perSecond = Math.round(result.events / seconds);
      tellLogReports(result.testLog ? [result.log, result.testLog] : [result.log]);
      process.stderr.write(`${result.events} events in ${seconds.toFixed(1)} s, ${perSecond} a second\n`);
    });
}

/** A learner for `--model`, or one that goes on from what `--from` names. @throws MILL_MODEL_INVALID, MILL_FILE_INVALID */
export async function learnerOf({
  model,
  from,
  engine,
  batch: batchExamples,
}: Pick<BacktestFlags, 'model' | 'from' | 'engine' | 'batch'>): Promise<LocalLearner> {
  const file = model === undefined ? null : readModelFile(model);
  if (from === undefined) {
    if (file === null) throw new MillraceError('MILL_MODEL_INVALID', 'wanted --model FILE or --from FOLDER');
    return openLearner({ file, engine, batchExamples });
  }
  // Only a run that starts from a trained model loads what reads snapshots.
  const { learnerFrom, openTrained } = await import('../training/trained-files.ts');
  const trained = await openTrained(from);
  if (file !== null && !sameModel(file, trained.file)) {
    const message = `${model} is not the model that was trained in ${from}: wanted ${from}/model.json, or no --model`;
    throw new MillraceError('MILL_MODEL_INVALID', message);
  }
  return learnerFrom(trained, { engine, batchExamples });
}

function figuresFrom(result: BacktestResult) {
  const { quality, test } = result;
  return {
    events: result.events,
    auc: round(quality.auc),
    logloss: round(quality.logloss),
    normalizedEntropy: round(quality.normalizedEntropy),
    calibration: round(quality.calibration),
    ...(test
      ? {
          test: {
            events: test.count,
            auc: round(test.auc),
            logloss: round(test.logloss),
            calibration: round(test.calibration),
          },
        }
      : {}),
    rows: result.rows,
    learned: result.learned,
    engine: result.engine,
    stateHash: result.stateHash,
  };
}

function text(figures: ReturnType<typeof figuresFrom>): string {
  return Object.entries(figures)
    .map(([name, value]) => `${name.padEnd(18)} ${typeof value === 'object' ? JSON.stringify(value) : value}`)
    .join('\n');
}

function round(value: number): number {
  return Number(value.toFixed(6));
}
