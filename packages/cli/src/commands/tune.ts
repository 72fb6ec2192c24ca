/** `millrace tune`: a backtest of every combination of a grid. */
import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { type EngineName, engineNames, parseModelFile } from '@millrace/model';
import { MillraceError } from '@millrace/protocol';
import { Command, Option } from 'commander';
import { openProgressBar } from '../screen/progress-bar.ts';
import { textTable } from '../screen/text-table.ts';
import { combinationsOf, type Grid, modelWith, readGrid } from '../tune/grid.ts';
import { runTune, type TuneRow } from '../tune/run-tune.ts';
import {
  formatOption,
  jsonOption,
  type LogFlags,
  logFileArgument,
  readModelFile,
  strictOption,
  wholeNumber,
} from './options.ts';

interface TuneFlags extends LogFlags {
  readonly model: string;
  readonly grid: string;
  readonly workers: number;
  readonly by: 'logloss' | 'auc';
  readonly test?: string;
  readonly batch: number;
  readonly engine: 'auto' | EngineName;
  readonly out?: string;
  readonly json: boolean;
}

export function tuneCommand(): Command {
  return new Command('tune')
    .description('backtest every combination of values in a model file, several at a time')
    .argument('<file>', logFileArgument)
    .requiredOption('--model <file>', 'model file')
    .requiredOption(
      '--grid <grid>',
      'JSON or a file of it: paths into the model file, each with its values, as {"net": ["linear", "fm"]}',
    )
    .option(
      '--workers <n>',
      'processes at a time (default: one for each core)',
      wholeNumber({ min: 1, max: 256 }),
      availableParallelism(),
    )
    .addOption(
      new Option('--by <measure>', 'what the best is best by').choices(['logloss', 'auc']).default('logloss'),
    )
    .option('--test <file>', 'judge by this log, scored without learning after the other one')
    .option('--batch <n>', 'events of one gradient step', wholeNumber({ min: 1, max: 1_000_000 }), 1)
    .addOption(
      new Option('--engine <name>', 'what runs the net').choices(['auto', ...engineNames]).default('auto'),
    )
    .option('--out <file>', 'write the best model file here')
    .addOption(formatOption())
    .addOption(strictOption())
    .addOption(jsonOption())
    .action(tune);
}

async function tune(path: string, flags: TuneFlags): Promise<void> {
  const { format, strict, workers, by, engine, batch: batchExamples } = flags;
  const file = readModelFile(flags.model);
  const grid = readGrid(flags.grid);
  const bar = openProgressBar('tune');
  const startMs = performance.now();
  const rows = await runTune({
    file,
    grid,
    log: { path, format, strict },
    test: flags.test === undefined ? null : { path: flags.test, format, strict },
    engine,
    batchExamples,
    workers,
    by,
    onProgress: (done, total) => bar.set(done, total, `${Math.floor(done)} of ${total}`),
    execArgv: process.execArgv,
  }).finally(() => bar.end());
  const seconds = ((performance.now() - startMs) / 1_000).toFixed(1);
  process.stdout.write(flags.json ? `${jsonOf(grid, rows, by)}\n` : `${tableOf(grid, rows)}\n`);
  process.stderr.write(`${combinationsOf(grid)} combinations in ${seconds} s\n`);
  const [best] = rows;
  if (best.figures === null) {
    throw new MillraceError('MILL_MODEL_INVALID', `no combination gave a result; the first: ${best.error}`);
  }
  if (flags.out === undefined) return;
  const model = parseModelFile(modelWith(file, grid.paths, best.values));
  writeFileSync(flags.out, `${JSON.stringify(model, null, 2)}\n`);
}

function jsonOf({ paths }: Grid, rows: readonly TuneRow[], by: string): string {
  const told = rows.map(({ values, figures, error }) => ({
    values: Object.fromEntries(paths.map((path, p) => [path, values[p]])),
    ...(figures ?? { error }),
  }));
  return JSON.stringify({ by, combinations: told });
}

function tableOf({ paths }: Grid, rows: readonly TuneRow[]): string {
  const lines = rows.map(({ values, figures, error }) => [
    ...values.map((value) => (typeof value === 'string' ? value : JSON.stringify(value))),
    ...(figures
      ? [shown(figures.logloss), shown(figures.auc), shown(figures.calibration), String(figures.rows), '']
      : ['–', '–', '–', '–', (error ?? '').replace(/\s+/g, ' ')]),
  ]);
  return textTable([[...paths, 'logloss', 'AUC', 'calibration', 'rows', ''], ...lines]).join('\n');
}

function shown(figure: number | null): string {
  return figure === null ? '–' : figure.toFixed(4);
}
