/** `millrace train`: many passes over a log, and the best state on disk. */
import { type EngineName, engineNames, parseModelFile } from '@millrace/model';
import { Command, Option } from 'commander';
import { logReportJson } from '../log-file/index.ts';
import { openProgressBar } from '../screen/progress-bar.ts';
import { textTable } from '../screen/text-table.ts';
import { openLearner } from '../training/open-learner.ts';
import { runTrain } from '../training/run-train.ts';
import type { PassFigures } from '../training/train-record.ts';
import { saveRecord, saveTrained } from '../training/trained-files.ts';
import { tellLogReports } from './log-report.ts';
import {
  formatOption,
  jsonOption,
  type LogFlags,
  logFileArgument,
  numberWithin,
  readModelFile,
  strictOption,
  wholeNumber,
} from './options.ts';

interface TrainFlags extends LogFlags {
  readonly model: string;
  readonly out: string;
  readonly passes: number;
  readonly holdout: number;
  readonly patience: number;
  readonly batch: number;
  readonly seed?: number;
  readonly engine: 'auto' | EngineName;
  readonly json: boolean;
}

export function trainCommand(): Command {
  return new Command('train')
    .description('learn a log in many passes, stop when its held-out end gets no better, keep the best state')
    .argument('<file>', logFileArgument)
    .requiredOption('--model <file>', 'model file')
    .requiredOption('--out <folder>', 'where the trained model goes, over one that is there')
    .option('--passes <n>', 'passes at most', wholeNumber({ min: 1, max: 10_000 }), 10)
    .option(
      '--holdout <share>',
      'share of the file, from its end, that is scored and never learned',
      numberWithin({ min: 0, below: 1 }),
      0.1,
    )
    .option(
      '--patience <n>',
      'stop after so many passes without a better one',
      wholeNumber({ min: 1, max: 10_000 }),
      2,
    )
    .option('--batch <n>', 'events of one gradient step', wholeNumber({ min: 1, max: 1_000_000 }), 1)
    .option('--seed <n>', "instead of the model file's", wholeNumber({ min: 0, max: 2 ** 32 - 1 }))
    .addOption(
      new Option('--engine <name>', 'what runs the net').choices(['auto', ...engineNames]).default('auto'),
    )
    .addOption(formatOption())
    .addOption(strictOption())
    .addOption(jsonOption())
    .action(train);
}

async function train(path: string, flags: TrainFlags): Promise<void> {
  const { passes, holdout, patience, batch, format, strict } = flags;
  const read = readModelFile(flags.model);
  const file = flags.seed === undefined ? read : parseModelFile({ ...read, seed: flags.seed });
  const learner = await openLearner({ file, engine: flags.engine, batchExamples: batch });
  const engine = learner.net.engine.name;
  const bar = openProgressBar('train');
  const startMs = performance.now();
  const { record, log } = await runTrain({
    learner,
    log: { path, format, strict },
    parameters: { passes, holdout, patience, batch, seed: file.seed, engine },
    onProgress: (done, total, note) => bar.set(done, total, note),
    onPass: (figures, isBest) => process.stderr.write(`${passLine(figures, isBest)}\n`),
    save: (best) =>
      saveTrained(flags.out, { file, record: best, states: learner.states, dense: learner.net.dense }),
  }).finally(() => bar.end());
  // Written once more, now with the passes that were no better.
  await saveRecord(flags.out, record);
  learner.dispose();
  const seconds = (performance.now() - startMs) / 1_000;
  const told = { ...record, ...logReportJson(log) };
  process.stdout.write(
    flags.json ? `${JSON.stringify(told)}\n` : `${passTable(record.passes, record.bestPass)}\n`,
  );
  tellLogReports([log]);
  const steps = record.passes.length * log.records;
  const perSecond = Math.round(steps / seconds);
  process.stderr.write(
    `${record.passes.length} passes in ${seconds.toFixed(1)} s, ${perSecond} events a second; the best is in ${flags.out}\n`,
  );
}

function passLine({ pass, trainLogloss, holdoutLogloss, holdoutAuc }: PassFigures, isBest: boolean): string {
  const held = holdoutLogloss === null ? '' : `, held out ${shown(holdoutLogloss)}, AUC ${shown(holdoutAuc)}`;
  return `pass ${pass}: logloss ${shown(trainLogloss)}${held}${isBest ? ', the best so far' : ''}`;
}

function passTable(passes: readonly PassFigures[], bestPass: number): string {
  return textTable([
    ['pass', 'logloss', 'AUC', 'held-out logloss', 'held-out AUC', ''],
    ...passes.map(({ pass, trainLogloss, trainAuc, holdoutLogloss, holdoutAuc }) => [
      String(pass),
      shown(trainLogloss),
      shown(trainAuc),
      shown(holdoutLogloss),
      shown(holdoutAuc),
      pass === bestPass ? 'kept' : '',
    ]),
  ]).join('\n');
}

function shown(figure: number | null): string {
  return figure === null ? '–' : figure.toFixed(4);
}
